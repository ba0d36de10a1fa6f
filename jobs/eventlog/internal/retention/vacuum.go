package retention

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// A table is vacuumed when what was deleted since the last time is a sixth of it, that is a fifth of the rest, and
	// at least this much.
	vacuumShare = 6
	vacuumLeast = 1 << 20

	// How often a vacuum may give the empty end of a table back to the file system, which keeps producers waiting for
	// some milliseconds. It is what a burst leaves behind: otherwise the space is soon used again.
	truncateEvery = 10 * time.Minute

	heldForLong = time.Minute // that vacuums could not remove what was deleted: worth a line in the log

	// How long a report may take that does not come at once, and how often to look for it.
	reportTime  = 2 * time.Second
	reportEvery = 50 * time.Millisecond
)

// space is what a table holds, and what of it was deleted. All sizes are in bytes.
type space struct {
	table      string
	size       int64     // with toast and indexes, after the latest vacuum; 0: not known
	gone, rows int64     // deleted since the latest vacuum: about how much, and how many rows
	freed      int64     // deleted since the latest truncation
	heldSince  time.Time // the first of the latest vacuums that could not remove most of it; zero: the latest could
	truncated  time.Time
}

// due: what producers have added since size was measured only makes it come a little early.
func (s *space) due() bool { return s.gone >= vacuumLeast && s.gone*vacuumShare >= s.size }

func (s *space) truncationDue() bool {
	return s.freed >= vacuumLeast && time.Since(s.truncated) >= truncateEvery
}

const (
	// A table can be vacuumed by its owner, the owner of the database, and from version 17 on a role that is granted
	// it.
	selectSpace = `select pg_total_relation_size(c.oid), clock_timestamp(),
			pg_has_role(c.relowner, 'usage')
				or (select pg_has_role(d.datdba, 'usage') from pg_database d where d.datname = current_database())
				or case when current_setting('server_version_num')::int >= 170000
					then has_table_privilege(c.oid, 'maintain') else false end
		from pg_class c where c.oid = $1::regclass`

	// A vacuum reports how many dead rows it had to leave: at once, or, before version 15, to a process that shows it
	// up to half a second later. One that found another one at work reports nothing.
	selectLeft = `select pg_total_relation_size($1::regclass), coalesce(r.reported, false),
			case when r.reported then pg_stat_get_dead_tuples($1::regclass) else 0 end,
			current_setting('server_version_num')::int < 150000
		from (select pg_stat_get_last_vacuum_time($1::regclass) >= $2 as reported) r`

	vacuumTable    = `vacuum (skip_locked, truncate false) `
	vacuumTruncate = `vacuum (skip_locked, truncate true) `

	// A vacuum may take longer than the role's statements.
	setTimeout = `select current_setting('statement_timeout'), set_config('statement_timeout', $1, false)`
)

// deleted counts what was deleted, and has the space used again when that is worth while.
func (t *Trimmer) deleted(ctx context.Context, s *space, rows, size int64) error {
	s.rows += rows
	s.gone += size
	s.freed += size
	if !s.due() {
		return nil
	}
	return t.vacuum(ctx, s, vacuumTable)
}

// shrink is for the end of a pass: a burst is gone then.
func (t *Trimmer) shrink(ctx context.Context, s *space) error {
	if !s.truncationDue() {
		return nil
	}
	s.freed, s.truncated = 0, time.Now()
	return t.vacuum(ctx, s, vacuumTruncate)
}

func (t *Trimmer) vacuum(ctx context.Context, s *space, statement string) error {
	if t.mayNot {
		return nil
	}
	var (
		began time.Time
		may   bool
	)
	err := pg.Try(ctx, func(ctx context.Context) error {
		return t.db.Pool.QueryRow(ctx, selectSpace, s.table).Scan(&s.size, &began, &may)
	})
	if err != nil {
		return fmt.Errorf("look at the size of %s: %w", s.table, err)
	}
	if !may {
		t.mayNot = true
		t.logger.Info("the role may not vacuum, so autovacuum has to keep up: "+
			"make it the owner of the tables to change that", "table", s.table)
		return nil
	}
	if statement == vacuumTable && !s.due() {
		return nil // the size was not known
	}
	rows := s.rows
	s.gone, s.rows = 0, 0 // after a failure too: it comes again when there is more
	if err := t.runVacuum(ctx, statement+s.table); err != nil {
		return fmt.Errorf("vacuum %s: %w", s.table, err)
	}
	return t.measure(ctx, s, began, rows)
}

// runVacuum takes as long as it takes, but ends with ctx, at the server too.
func (t *Trimmer) runVacuum(ctx context.Context, statement string) error {
	conn, err := t.db.Pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	var before, during string
	if err := conn.QueryRow(ctx, setTimeout, "0").Scan(&before, &during); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	if back := conn.QueryRow(ctx, setTimeout, before).Scan(&during, &before); back != nil {
		_ = conn.Conn().Close(ctx) // or others would get it without its time-out
	}
	return err
}

// measure reads what a vacuum has left. Transactions of some seconds always hold a part of it back.
func (t *Trimmer) measure(ctx context.Context, s *space, since time.Time, rows int64) error {
	var (
		dead           int64
		reported, late bool
	)
	for deadline := time.Now().Add(reportTime); ; {
		err := pg.Try(ctx, func(ctx context.Context) error {
			return t.db.Pool.QueryRow(ctx, selectLeft, s.table, since).Scan(&s.size, &reported, &dead, &late)
		})
		if err != nil {
			return fmt.Errorf("look at the size of %s: %w", s.table, err)
		}
		if reported || !late || time.Now().After(deadline) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(reportEvery):
		}
	}
	switch {
	case dead <= rows/2:
		s.heldSince = time.Time{}
	case s.heldSince.IsZero():
		s.heldSince = time.Now()
	case time.Since(s.heldSince) >= heldForLong:
		t.heldBack.Log(t.logger, hclog.Warn,
			"deleted rows cannot make room for new ones, an old transaction may still see them: end the oldest, or "+
				"look by backend_xmin in pg_stat_activity and pg_replication_slots, and in pg_prepared_xacts",
			append([]any{"table", s.table, "rows", dead}, oldestSnapshot(ctx, t.db)...)...)
	}
	return nil
}
