package bench

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
)

//go:embed replica.hcl
var replicaConfig []byte

// replicas are three of the whole program, with a handler that calls the witness.
type replicas struct {
	group
	witness  *fleet.Witness
	arrivals chan fleet.Call // of events; never closed; what is not taken in time is dropped
}

// newReplicas returns when one of them handles events and the others queue. The caller closes it.
func (r *run) newReplicas(ctx context.Context) (*replicas, error) {
	s, err := r.noReplicas()
	if err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// noReplicas has a witness, and no replica yet. The caller closes it.
func (r *run) noReplicas() (s *replicas, err error) {
	s = &replicas{group: group{run: r, pause: shortPause}, arrivals: make(chan fleet.Call, 1000)}
	s.witness, err = fleet.NewWitness(fleet.WitnessOptions{Arrived: func(c fleet.Call) {
		select {
		case s.arrivals <- c:
		default:
		}
	}})
	return s, err
}

func (s *replicas) begin(ctx context.Context) error {
	for range 3 {
		if err := s.join(); err != nil {
			return err
		}
	}
	return s.settle(ctx)
}

func (s *replicas) join() error {
	member, err := s.startReplica("WITNESS=" + s.witness.URL)
	if err == nil {
		s.members = append(s.members, member)
	}
	return err
}

// startReplica starts the whole program.
func (r *run) startReplica(env ...string) (*fleet.Process, error) {
	return r.start(fleet.Replica(replicaConfig, env...))
}

// settle waits until one leads and the others queue, and then until an event is handled.
func (s *replicas) settle(ctx context.Context) error {
	if err := s.awaitQueue(ctx, len(s.members)-1); err != nil {
		return err
	}
	_, err := s.firstEvent(ctx, 0)
	return err
}

// firstEvent inserts events until one of them arrives from a leader after the given term, and returns when it did. It
// inserts more than one in case a leader that is stopped has taken the first.
func (s *replicas) firstEvent(ctx context.Context, after int64) (fleet.Call, error) {
	const (
		insertEvent = `insert into pgsolo.event (topic) values ('bench')`
		insertEvery = 20 * time.Millisecond
	)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no event has been handled for %s", patience))
	defer cancel()
	ticker := time.NewTicker(insertEvery)
	defer ticker.Stop()
	for {
		if _, err := s.own.Exec(ctx, insertEvent); err != nil {
			return fleet.Call{}, fmt.Errorf("insert event: %w", err)
		}
		for waiting := true; waiting; {
			select {
			case c := <-s.arrivals:
				if c.Term > after {
					return c, nil
				}
			case <-ticker.C:
				waiting = false
			case <-ctx.Done():
				return fleet.Call{}, s.withOutput(context.Cause(ctx))
			}
		}
	}
}

// takeOver ends the leader with a signal, and returns how long it took until its successor had handled an event.
func (s *replicas) takeOver(ctx context.Context, signal os.Signal) (time.Duration, error) {
	const selectLeader = `select term, split_part(holder, '/', -1)::int from pgsolo.leader where election = 'bench'`
	var (
		term int64
		pid  int
	)
	if err := s.own.QueryRow(ctx, selectLeader).Scan(&term, &pid); err != nil {
		return 0, fmt.Errorf("read leader row: %w", err)
	}
	i := slices.IndexFunc(s.members, func(p *fleet.Process) bool { return p.PID() == pid })
	if i < 0 {
		return 0, s.withOutput(fmt.Errorf("process %d leads, and is none of the bench's", pid))
	}
	old := s.members[i]
	began, err := s.signal(ctx, old, signal)
	if err != nil {
		return 0, err
	}
	first, err := s.firstEvent(ctx, term)
	if err != nil {
		return 0, err
	}
	s.remove(old)
	if err := s.join(); err != nil {
		return 0, err
	}
	return first.At.Sub(began), s.settle(ctx)
}

// close kills all members.
func (s *replicas) close() {
	s.group.close()
	s.witness.Close()
}
