package bench

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"
)

const eventsFigures = `What the event log takes from those who write to it, and gives to those who read.

  idle_leader_transactions  in the server, per second, of the whole program as an idle leader; with
                            --quick a few of its start may be among them
  backlog_1_handler         1,000,000 waiting events (100,000 with --quick) that a Go function which
                            does nothing gets, per second, from the start of the leader until the
                            last one
  backlog_4_handlers        the same with four handlers on the topic, each of which gets all events,
                            until the last one has them; each event counts once
  backlog_allocations       of memory in this process, per event, with one handler
  backlog_memory            the most that was resident of this process, the floor's loop included,
                            on Linux

The floor of the first two is a bare loop: it selects 5,000 rows by id, with all their columns, and
writes one row of progress for each batch. A backlog of ten million events is --events 10000000.

  latency_50                from just before an INSERT is sent, to the handler; 50 inserts per second
  latency_50_p99            the 99th percentile of that, beside the floor's

Their floor is WaitForNotification and then a SELECT of the rows above the last id, where the producer
notifies in the statement that inserts. They take turns of a second.

  insert_4_connections      single rows inserted per second, each a transaction of a prepared
                            statement, while a leader handles them
  end_to_end_4_connections  from just before such an INSERT is sent, its commit included, to the handler
  catch_up_4_connections    from the last commit until the handler has the last event
  insert_32_connections, end_to_end_32_connections, catch_up_32_connections
                            the same with 32 connections

The floor of the inserts is a copy of the table without triggers, which nobody reads, beside a leader
that is idle; the two take turns. Producers, leader and floor share this process: it has the
processors to itself as a whole, and no second client competes with the producers for them.

With -n 100 there are 5 turns of the backlog and of the inserts, and 600 samples of the latency.`

const (
	eventsTopic = "bench"

	// eventsGroup is also the election in replica.hcl: the bell that its leader has left armed when it was killed is
	// this one's.
	eventsGroup = "bench"

	// eventsTerm is before the first term of the bench's own leaders. It is later than any that the program leads
	// there.
	eventsTerm = 1000
)

// events are the figures of the event log.
type events struct {
	*run
	term int64 // of the latest leader
}

func measureEvents(ctx context.Context, r *run) error {
	if err := r.measureIdleLeader(ctx); err != nil { // which needs an empty log
		return err
	}
	e := &events{run: r, term: eventsTerm}
	if _, err := e.own.Exec(ctx, makeFloorTables); err != nil {
		return fmt.Errorf("make the floor's tables: %w", err)
	}
	if err := e.measureBacklog(ctx); err != nil {
		return err
	}
	if err := e.measurePaced(ctx); err != nil {
		return err
	}
	for _, connections := range []int{4, 32} {
		if err := e.measureInserts(ctx, connections); err != nil {
			return err
		}
	}
	return nil
}

// The floor's events are in a table like the log's, with a sequence of its own and without triggers.
const makeFloorTables = `create sequence bench_id_seq as bigint cache 1;
	create table bench_event (like pgsolo.event including all);
	alter table bench_event alter column id
		set default case when pg_current_xact_id() is not null then nextval('bench_id_seq') end;
	create table bench_cursor (handler text primary key, done bigint not null)`

// clearLog empties the log and the floor's, and forgets the handlers. No leader reads meanwhile.
func (e *events) clearLog(ctx context.Context) error {
	const truncateLog = `truncate pgsolo.event, pgsolo.cursor, pgsolo.delivery, bench_event`
	if _, err := e.own.Exec(ctx, truncateLog); err != nil {
		return fmt.Errorf("empty the event log: %w", err)
	}
	return nil
}

// stopwatch times events from producers to their receiver, in this process. The payload of each is the time at
// which it was sent, as a number.
type stopwatch struct {
	epoch time.Time

	mu   sync.Mutex // guards all below
	took []time.Duration
	last time.Time // when the latest event was received
}

func newStopwatch() *stopwatch { return &stopwatch{epoch: time.Now()} }

// payload is that of an event which is sent now.
func (s *stopwatch) payload() string { return strconv.FormatInt(int64(time.Since(s.epoch)), 10) }

// receive takes in the payload of an event that arrives now.
func (s *stopwatch) receive(payload []byte) error {
	at := time.Now()
	sent, err := strconv.ParseInt(string(payload), 10, 64)
	if err != nil {
		return fmt.Errorf("read the time of an event: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took, s.last = append(s.took, at.Sub(s.epoch)-time.Duration(sent)), at
	return nil
}

func (s *stopwatch) received() (events int, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.took), s.last
}

// awaitAll waits until so many events have been received. broken says why there will be no more, if so.
func (s *stopwatch) awaitAll(ctx context.Context, events int, broken func() error) (last time.Time, err error) {
	err = await(ctx, fmt.Sprintf("%d events to be handled", events), func(context.Context) (bool, error) {
		var n int
		n, last = s.received()
		return n >= events, broken()
	})
	return last, err
}

// samples are to be asked for when nothing is received any more.
func (s *stopwatch) samples() []float64 { return milliseconds(s.took) }
