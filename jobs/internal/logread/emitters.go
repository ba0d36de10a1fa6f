package logread

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	openForLong = 500 * time.Millisecond
	lookShare   = 20 // a look takes this part of the time at most

	openIsOver = 15 * time.Second // after the latest read that left a hole open

	manyOpen     = 1000 // holes, as many as one read has: worth a line in the log
	holdsForLong = 10 * time.Second
	warnEvery    = time.Hour
)

// Emitters knows below which number every transaction has ended that may have an id of the log. Any old transaction
// keeps the xmin of snapshots, also one of another database; what it keeps open, each write of progress has to have, as
// a gap. An emitter is known by its locks.
//
// Whoever takes an id from the sequence locks that in mode RowExclusive before, and whoever writes a row locks the
// table so; both until its transaction has ended and is seen to have. So a transaction that may fill a hole has had the
// lock since before the hole was seen, with its number, which the default of the column gives it first. The locks are
// read at some time after the snapshot of their statement. Each number below the xmax of that and below those of all
// emitters was given out before, to a transaction that has ended by then or has no lock. A hole whose horizon is not
// above that was seen before, too; so its transaction has ended, and the snapshot of any later statement shows the row,
// if there will ever be one. Floor is therefore asked for before the holes are read again.
//
// Prepared transactions keep their locks. A lock that moves within the server's tables while they are read is seen
// twice rather than never, since they are read in the order of its way. One without a number is of a session that has
// only looked at the sequence, or has taken an id by hand, which an earlier horizon does not wait for either.
//
// It may be used by any goroutine. A nil one knows nothing.
type Emitters struct {
	DB      pg.DB
	Logger  hclog.Logger
	OpenFor time.Duration // that a hole stays open until the locks are worth a look; default 0.5 s

	floor  atomic.Int64
	oldest atomic.Pointer[Emitter]

	mu     sync.Mutex // guards all below
	mark   int64      // the highest horizon that was open at
	at     time.Time  // that time
	looks  bool
	lookBy time.Time // not before
	warned time.Time
}

// Emitter is a transaction that may have ids of the log, and keeps those open that others did not use.
type Emitter struct {
	PID         int32 // 0: it is prepared
	Role        string
	Application string
	Number      int64     // of the transaction
	Since       time.Time // when it was first seen to do so
}

// Begin forgets what was true of another server or timeline. Nobody uses it at that time.
func (e *Emitters) Begin() {
	if e == nil {
		return
	}
	e.floor.Store(0)
	e.oldest.Store(nil)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mark, e.at, e.lookBy, e.warned = 0, time.Time{}, time.Time{}, time.Time{}
}

// Floor is a number below which every transaction that may fill a hole has ended. It holds for a read that begins
// later.
func (e *Emitters) Floor() int64 {
	if e == nil {
		return 0
	}
	return e.floor.Load()
}

// Oldest is the emitter that keeps ids open; nil: there is none.
func (e *Emitters) Oldest() *Emitter {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Since(e.at) > openIsOver {
		return nil
	}
	return e.oldest.Load()
}

// Blocking is the emitter that keeps ids open, with how long it has; empty: none has for long.
func (e *Emitters) Blocking() (who string, how time.Duration) {
	if o := e.Oldest(); o != nil && time.Since(o.Since) >= holdsForLong {
		return fmt.Sprintf("%s %s %d", o.Role, o.Application, o.PID), time.Since(o.Since)
	}
	return "", 0
}

// Open takes in how many horizons a read has left open, between lowest and highest. Where one has been open for long,
// it looks for those who keep it so.
func (e *Emitters) Open(ctx context.Context, n int, lowest, highest int64) {
	if e == nil || !e.begins(lowest, highest) {
		return
	}
	began := time.Now()
	err := e.look(ctx)
	if o := e.ends(began, n); o != nil {
		e.Logger.Warn("a transaction that has emitted runs on, and keeps ids open that others did not use: "+
			"each write of progress has them. End it, or have it emit last",
			"ids", n, "pid", o.PID, "role", o.Role, "application", o.Application, "transaction", o.Number)
	}
	if err != nil {
		e.Logger.Debug("not known who keeps ids of the log open", "error", err)
	}
}

// begins says whether the caller is to look at the locks.
func (e *Emitters) begins(lowest, highest int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if e.looks || now.Sub(e.at) < e.OpenFor {
		return false
	}
	e.looks = e.mark > 0 && lowest <= e.mark && !now.Before(e.lookBy)
	e.mark, e.at = highest, now
	return e.looks
}

// ends is for the end of a look, and returns an emitter that is worth a line in the log.
func (e *Emitters) ends(began time.Time, n int) *Emitter {
	e.mu.Lock()
	defer e.mu.Unlock()
	now, o := time.Now(), e.oldest.Load()
	e.looks, e.lookBy = false, now.Add(lookShare*now.Sub(began))
	if o == nil || n < manyOpen || now.Sub(o.Since) < holdsForLong || now.Sub(e.warned) < warnEvery {
		return nil
	}
	e.warned = now
	return o
}

// Numbers in the locks have 32 bits. They are not half of those from the snapshot's.
const selectEmitters = `with locks as materialized (
		select locktype, database, relation, mode, virtualtransaction, transactionid, pid from pg_locks where granted
	), snapshot as materialized (
		select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xmax
	), emitter as (
		select s.xmax + ((t.transactionid::text::bigint - s.xmax + 2147483648) & 4294967295) - 2147483648 as number,
			l.pid
		from snapshot s, locks l
			join locks t on t.virtualtransaction = l.virtualtransaction and t.locktype = 'transactionid'
				and t.mode = 'ExclusiveLock'
		where l.locktype = 'relation' and l.mode = 'RowExclusiveLock'
			and l.database = (select oid from pg_database where datname = current_database())
			and l.relation in ('pgsolo.event'::regclass, 'pgsolo.event_id_seq'::regclass)
		order by number limit 1
	)
	select s.xmax, coalesce(e.number, 0), coalesce(e.pid, 0), coalesce(a.usename, ''), coalesce(a.application_name, '')
	from snapshot s left join emitter e on true left join pg_stat_activity a on a.pid = e.pid`

func (e *Emitters) look(ctx context.Context) error {
	var (
		xmax int64
		o    = Emitter{Since: time.Now()}
	)
	err := pg.Try(ctx, func(ctx context.Context) error {
		return e.DB.QueryRow(ctx, selectEmitters).Scan(&xmax, &o.Number, &o.PID, &o.Role, &o.Application)
	})
	if err != nil {
		return err
	}
	if o.Number == 0 {
		e.oldest.Store(nil)
		e.floor.Store(max(e.floor.Load(), xmax))
		return nil
	}
	if before := e.oldest.Load(); before != nil && before.Number == o.Number {
		o.Since = before.Since
	}
	e.oldest.Store(&o)
	e.floor.Store(max(e.floor.Load(), min(xmax, o.Number)))
	return nil
}
