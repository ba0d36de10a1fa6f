package cursor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// Claimed is a cursor that was claimed.
type Claimed struct {
	Done          idset.Set
	logread.Claim // Epoch is that of the log which Done belongs to
	Identities    Identities

	refusal      string // why events would be overlooked, with the remedy; mostly empty
	contradicted bool   // by the log or its sequence
	seenNew      bool   // the highest row in done is of an event that was emitted after done was written
	passed       bool   // likewise, after a leader had checked the log
	isNew        bool   // the cursor was made by this claim: what is done is of the log as it is now
}

// Persist is a step at the database that is tried again and again; what names it.
type Persist func(ctx context.Context, what string, do func(context.Context) error) error

// Take claims the cursor, and compares what is done with the log where that is in doubt. Where the cursor is another
// group's, owned says so.
func (c Cursor) Take(
	ctx context.Context, persist Persist, logger hclog.Logger, group string, latest bool,
) (claimed Claimed, owned *OwnedError, err error) {
	err = persist(ctx, "claim cursor", func(ctx context.Context) (err error) {
		claimed, err = c.Claim(ctx, group, latest)
		if errors.As(err, &owned) {
			return nil // another try would not help
		}
		return err
	})
	switch {
	case err != nil || owned != nil:
		return Claimed{}, owned, err
	case claimed.refusal != "":
		return Claimed{}, nil, fmt.Errorf("%w: %s", jobs.ErrSchema, claimed.refusal)
	case !claimed.contradicted && !claimed.seenNew && !claimed.passed:
		return claimed, nil, nil
	}
	doubtful := claimed
	err = persist(ctx, "compare cursor and log", func(context.Context) (err error) {
		claimed, err = c.Compare(ctx, doubtful, logger) // which may take longer than a try
		return err
	})
	return claimed, nil, err
}

// difference is what a comparison with the log has found.
type difference struct {
	finding string // of the latest epoch: raised, or began again
	highest int64  // id in done
	given   int64  // the highest that the sequence had given out when that was found
	now     int64  // the highest that it has given out now, as far as the role may know
	again   int64  // events that come, or come again, although their ids were done
	renamed int64  // deliveries of other events under these ids
}

const (
	// What this cursor has seen says nothing of an epoch that is later than its own: another one has found the same.
	checkLog = `select pgsolo.check_log(l.epoch, $1 and l.epoch = $3,
			case when $2 and l.epoch = $3 then l.checked_at end,
			case when $2 and l.epoch = $3 then l.checked_xid end)
		from pgsolo.log l order by l.epoch desc limit 1`

	// What a leader may still write under an older term waits for this, and then finds the newer term.
	lockDone = `select c.done, c.epoch, n.epoch, upper(c.done) - 1,
			coalesce((select bool_and(l.finding = 'promoted') from pgsolo.log l where l.epoch > c.epoch), true)
		from pgsolo.cursor c, (select max(l.epoch) as epoch from pgsolo.log l) n
		where c.handler = $1 and c.term = $2
		for update of c`

	// All of it goes on where the server was promoted, and what a new cursor begins with.
	passEpoch = `update pgsolo.cursor set epoch = $2 where handler = $1`

	// What is done is believed where a row shows the event that was handled: one that is no newer than the latest
	// write. Up to the highest id that was given out when the contradiction was found, any other id may be that of a
	// new event, whose transaction may still run. If it is not, as where retention has deleted its row, it is a hole
	// that is found empty. Above it nothing was given out: if the log began again, what is done there is another log's;
	// if its sequence was raised, it stays.
	//
	// Where there were several contradictions since the cursor was written, the more careful of each holds. Numbers of
	// transactions say nothing about rows of another server.
	believeDone = `with missed as (
			select bool_or(l.finding = 'began again') as again, max(l.given) as given, min(l.sound_at) as sound_at,
				min(l.sound_xid::text::bigint)::text::xid8 as sound_xid,
				bool_and(split_part(l.counter, '/', 1) = split_part(o.counter, '/', 1)) as same_server
			from pgsolo.log l join pgsolo.log o on o.epoch = $2 where l.epoch > $2
		), noted as (
			select c.done, m.again, m.given, least(c.noted_at, m.sound_at) as at, case when m.same_server
				then least(c.noted_xid::text::bigint, m.sound_xid::text::bigint)::text::xid8 end as xid
			from pgsolo.cursor c, missed m where c.handler = $1
		), old as (
			select e.id, e.id - row_number() over (order by e.id) as run
			from noted n join pgsolo.event e on e.id <= n.given
			where n.done @> e.id and not pgsolo.is_new(e.created_at, e.xmin, n.at, n.xid)
		), believed as (
			select coalesce(range_agg(int8range(o.lo, o.hi, '[]')), '{}') as done
			from (select min(id) as lo, max(id) as hi from old group by run) o
		)
		update pgsolo.cursor c
		set epoch = $3, done = b.done + case when n.again then '{}'
			else n.done * int8multirange(int8range(n.given + 1, null)) end
		from noted n, believed b
		where c.handler = $1
		returning c.done, n.given, (select finding from pgsolo.log where epoch = $3),
			(select count(*) from pgsolo.event e where e.topic = c.topic and n.done @> e.id and not c.done @> e.id)`

	// The deliveries of events that are not in done any more make room for those that may come under the same ids. They
	// keep their order, below all ids of the log, and above those that have made room before. Ids are unique at each
	// moment, so that the latter go far away before they come to their place.
	countRenamed = `select count(*) from pgsolo.delivery d
		where d.handler = $1 and d.event_id > 0 and not $2::int8multirange @> d.event_id`
	moveEarlierAway = `update pgsolo.delivery set event_id = event_id - (1::bigint << 50)
		where handler = $1 and event_id < 0`
	renameDeliveries = `with renamed as (
			select d.event_id, row_number() over (order by d.event_id) - count(*) over () - 1 as place
			from pgsolo.delivery d where d.handler = $1 and d.event_id > 0 and not $2::int8multirange @> d.event_id
		)
		update pgsolo.delivery d set event_id = r.place
		from renamed r where d.handler = $1 and d.event_id = r.event_id`
	moveEarlierBelow = `update pgsolo.delivery set event_id = event_id + (1::bigint << 50) - $2
		where handler = $1 and event_id < -(1::bigint << 49)`

	selectGiven = `select case when has_sequence_privilege('pgsolo.event_id_seq', 'select, usage')
		then coalesce(pg_sequence_last_value('pgsolo.event_id_seq'), 0) else 0 end`
)

// compareTime is how long a comparison may take, which reads all rows of the log that are done.
const compareTime = 10 * time.Minute

// Compare finds out what the contradiction is, takes out of done what is not to be believed, and logs that. A role that
// may not do so goes on with what is done.
func (c Cursor) Compare(ctx context.Context, claimed Claimed, logger hclog.Logger) (Claimed, error) {
	compared, found, err := c.compare(ctx, claimed)
	switch {
	case pg.IsNotAllowed(err):
		logger.Error("the event log and its sequence contradict what is done, and the role may not compare them, "+
			"so that events may be skipped", "error", c.DB.NameGrants(ctx, err))
		claimed.Epoch = math.MaxInt64 // no later one is a reason for the poll to end the leadership
		return claimed, nil
	case err == nil && found != nil:
		found.log(logger)
	}
	return compared, err
}

// compare returns no difference where another leader's finding was the reason and this cursor knows of it.
//
// The check, which locks the log's epochs, is a transaction of its own that has ended when the one here locks the
// cursor's row: none has both. Where another contradiction is found in between, the later epoch is compared with.
func (c Cursor) compare(ctx context.Context, claimed Claimed) (compared Claimed, found *difference, err error) {
	ctx, cancel := context.WithTimeout(ctx, compareTime)
	defer cancel()
	doubted := claimed.seenNew || claimed.passed
	if _, err := c.DB.Exec(ctx, checkLog, doubted, claimed.passed, claimed.Epoch); err != nil {
		return Claimed{}, nil, fmt.Errorf("check the event log: %w", err)
	}
	err = c.DB.InTx(ctx, func(tx pg.Tx) error {
		var (
			before, after idset.Multirange
			epoch, latest int64
			highest       *int64
			promoted      bool
		)
		err := tx.QueryRow(ctx, lockDone, c.Handler, c.Term).Scan(&before, &epoch, &latest, &highest, &promoted)
		if errors.Is(err, pgx.ErrNoRows) {
			return c.fenced()
		}
		if err != nil {
			return fmt.Errorf("lock cursor of %q: %w", c.Handler, err)
		}
		compared, found = Claimed{Done: idset.Decode(before), Claim: logread.Claim{Epoch: latest}}, nil
		err = tx.QueryRow(ctx, selectIdentities).Scan(&compared.Identities.names, &compared.Identities.from)
		if err != nil {
			return fmt.Errorf("read the identity of the log: %w", err)
		}
		if epoch == latest {
			return nil
		}
		if claimed.isNew {
			_, err := tx.Exec(ctx, passEpoch, c.Handler, latest)
			return err
		}
		if _, err := tx.Exec(ctx, nameDeliveries, c.Handler, epoch); err != nil {
			return fmt.Errorf("keep the idempotency keys of the deliveries of %q: %w", c.Handler, err)
		}
		if found = (&difference{}); promoted {
			found.finding = "promoted"
			_, err := tx.Exec(ctx, passEpoch, c.Handler, latest)
			return err
		}
		if highest != nil {
			found.highest = *highest
		}
		err = tx.QueryRow(ctx, believeDone, c.Handler, epoch, latest).
			Scan(&after, &found.given, &found.finding, &found.again)
		if err != nil {
			return fmt.Errorf("compare what %q has done with the log: %w", c.Handler, err)
		}
		if found.renamed, err = c.rename(ctx, tx, after); err != nil {
			return fmt.Errorf("make room among the deliveries of %q: %w", c.Handler, err)
		}
		compared.Done = idset.Decode(after)
		return tx.QueryRow(ctx, selectGiven).Scan(&found.now)
	})
	return compared, found, err
}

// rename gives the deliveries that are not in done negative ids, and returns their number.
func (c Cursor) rename(ctx context.Context, tx pg.Tx, done idset.Multirange) (n int64, err error) {
	if err := tx.QueryRow(ctx, countRenamed, c.Handler, done).Scan(&n); err != nil || n == 0 {
		return n, err
	}
	if _, err := tx.Exec(ctx, moveEarlierAway, c.Handler); err != nil {
		return n, err
	}
	if _, err := tx.Exec(ctx, renameDeliveries, c.Handler, done); err != nil {
		return n, err
	}
	_, err = tx.Exec(ctx, moveEarlierBelow, c.Handler, n)
	return n, err
}

func (d *difference) log(logger hclog.Logger) {
	said := []any{
		"highest_id_done", d.highest, "sequence_was_at", d.given, "sequence_is_at", d.now,
		"events_that_come_again", d.again, "deliveries_with_new_ids", d.renamed,
	}
	switch d.finding {
	case "promoted":
		logger.Info("the server has been promoted, or restored to a point in time: " +
			"new events have other idempotency keys, since ids may be given out once more")
		return
	case "copied":
		logger.Warn("the event log is in another database or on another server than before: "+
			"new events have other idempotency keys", said...)
		return
	case "raised":
		logger.Error("the sequence of the event log was below ids that the log has, "+
			"as after a copy that brings no sequences, or setval: it was raised above them", said...)
		return
	}
	logger.Error("the event log began again, "+
		"as after TRUNCATE … RESTART IDENTITY, setval or a restore of some tables: "+
		"ids that were done are given out once more, or may be, and what is done was compared with the log", said...)
}
