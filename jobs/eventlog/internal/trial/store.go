package trial

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// store is the SQL of the trials of one term of a group.
type store struct {
	db    pg.DB
	group string
	term  int64
}

// server tells one start of the server from another.
const server = `concat(extract(epoch from pg_postmaster_start_time()), '/',
		extract(epoch from pg_stat_get_bgwriter_stat_reset_time()))`

const (
	// The process of the term before has ended without a word (cut) unless it said that it was alive, or the server has
	// restarted since, which a crash restart shows by resetting the statistics. Leaders of the version before, which
	// write nothing here, are left out: what is written is that of the latest one of this version.
	//
	// The same term changes nothing when it begins again: an answer was lost. Neither does an older one. Nothing can be
	// to be tried where every handler was known before, and was not cut off twice.
	//
	// A handler whose row another session has locked is left out and returned, so that the others do not wait for it.
	beginTerms = `with own as (
			select handler from pgsolo.handler_term
			where handler = any ($1::text[]) and "group" = $4 for update` + skipLocked + `
		), begun as (
			update pgsolo.handler_term t
			set term = $2, server = ` + server + `, ended = false, lasted = clock_timestamp() - t.began_at,
				began_at = clock_timestamp(), cut_term = t.term,
				cut = t.cut + (not t.ended and t.server = ` + server + `)::int
			from own where t.handler = own.handler and t."group" = $4 and t.term < $2
			returning t.stuck + t.cut as ends, t.alone
		), locked as (
			select handler from pgsolo.handler_term
			where handler = any ($1::text[]) and "group" = $4 and handler not in (select handler from own)
		)
		select count(*) + (select count(*) from locked) = cardinality($1::text[])
			and coalesce(bool_and(ends < $3 and alone is null), true)
			and not exists (select from pgsolo.handler_cut_off where handler = any ($1::text[])),
			array(select handler from locked)
		from begun`

	// Nothing has moved if the lowest id that is not done is the same, and was given out, or if a delivery that was due
	// when that began to be so still is. Of a handler that is held back, another group's leaders move what there is:
	// what is known of it is that this group has no part in it.
	//
	// It returns the handlers that it has judged: those of this term of whose rows none is locked.
	judgeTerms = `with own as (
			select handler from pgsolo.handler_term
			where handler = any ($1::text[]) and "group" = $3 for update` + skipLocked + `
		), own_cut_off as (
			select o.handler from pgsolo.handler_cut_off o join pgsolo.handler_term t
				on t.handler = o.handler and t."group" = $3 and t.alone = o.event_id
			where o.handler = any ($1::text[]) for update of o` + skipLocked + `
		), found as (
			select n.handler, c.topic, t.cut, t.cut_term, t.stuck, t.alone, t.stuck_since, t.head as old_head,
				coalesce(c."group" in ('', $3), false) as mine,
				case when lower(c.done) = 1 then (select upper(unnest(c.done)) limit 1) else 1 end as head
			from unnest($1::text[]) as n (handler)
				left join pgsolo.cursor c on c.handler = n.handler
				left join pgsolo.handler_term t on t.handler = n.handler and t."group" = $3
			where (t.handler is null or n.handler in (select handler from own))
				and (n.handler in (select handler from own_cut_off) or not exists (
					select from pgsolo.handler_cut_off o where o.handler = n.handler and o.event_id = t.alone))
		), judged as (
			select *, mine
				and (coalesce(head = old_head and head <= pg_sequence_last_value('pgsolo.event_id_seq'), false)
					or exists (select from pgsolo.delivery d
						where d.handler = found.handler and d.topic = found.topic
							and d.state in ('scheduled', 'retry') and d.next_at <= found.stuck_since)
					or exists (select from pgsolo.delivery d
						where d.handler = found.handler and d.topic = found.topic
							and d.state = 'waiting' and d.failed_at <= found.stuck_since)) as same
			from found
		), put as (
			insert into pgsolo.handler_term as t (handler, "group", term, server, began_at, head, stuck, stuck_since)
			select handler, $3, $2, ` + server + `, clock_timestamp(), head,
				case when same then stuck + cut else 0 end,
				case when same then stuck_since else clock_timestamp() end
			from judged order by handler
			on conflict (handler, "group") do update set cut = 0, head = excluded.head, stuck = excluded.stuck,
				stuck_since = excluded.stuck_since, alone = null
			where t.term = excluded.term
			returning t.handler
		), cut_off as (
		insert into pgsolo.handler_cut_off as o (handler, event_id, ends, beside)
		select j.handler, j.alone, 1, pgsolo.was_in_job($3, j.cut_term, $2)::int
		from judged j join put p on p.handler = j.handler
		where j.cut > 0 and j.alone is not null
		on conflict (handler, event_id) do update set ends = o.ends + 1, beside = o.beside + excluded.beside
		)
		select handler from put`

	selectTerms = `select handler, t.stuck, coalesce(extract(epoch from t.lasted), 0)::float8
		from pgsolo.handler_term t join pgsolo.cursor c using (handler)
		where handler = any ($1::text[]) and t."group" = $3 and t.term = $2 and c."group" in ('', $3)`

	// Of events that are done, or dead.
	deleteSettled = `delete from pgsolo.handler_cut_off where (handler, event_id) in (
			select o.handler, o.event_id from pgsolo.handler_cut_off o join pgsolo.cursor c using (handler)
			where o.handler = any ($1::text[]) and c.done @> o.event_id and not exists (
				select from pgsolo.delivery d
				where d.handler = o.handler and d.event_id = o.event_id and d.state <> 'dead')
			for update of o skip locked)`

	// Not of events that wait until the handler is back at their topic.
	selectCutOff = `select handler, event_id, ends, beside from pgsolo.handler_cut_off o
		where handler = any ($1::text[]) and not exists (
			select from pgsolo.delivery d join pgsolo.cursor c using (handler)
			where d.handler = o.handler and d.event_id = o.event_id and d.topic <> c.topic)`

	markAlone = `update pgsolo.handler_term set alone = $4
		where handler = $1 and "group" = $3 and term = $2`

	clearAlone = `update pgsolo.handler_term set alone = null where handler = $1 and "group" = $3 and term = $2`

	deleteCutOff = `delete from pgsolo.handler_cut_off o using pgsolo.handler_term t
		where o.handler = $1 and o.event_id = $4 and t.handler = $1 and t."group" = $3 and t.term = $2`

	// It returns whether none is left: rows that others have locked.
	markEnded = `with own as (
			select handler from pgsolo.handler_term
			where handler = any ($1::text[]) and "group" = $3 and term = $2 and not ended for update skip locked
		), marked as (
			update pgsolo.handler_term t set ended = true
			from own where t.handler = own.handler and t."group" = $3
			returning t.handler
		)
		select not exists (select from pgsolo.handler_term
			where handler = any ($1::text[]) and "group" = $3 and term = $2 and not ended
				and handler not in (select handler from marked))`

	skipLocked = ` skip locked` // or else a statement waits for rows that others have locked
)

var (
	beginTermsWaiting = strings.ReplaceAll(beginTerms, skipLocked, "")
	judgeTermsWaiting = strings.ReplaceAll(judgeTerms, skipLocked, "")
)

// state is what a term finds of a handler.
type state struct {
	stuck  int
	lasted time.Duration
	ends   map[int64]ends // by event
}

// ends are the leaders that ended with an event alone.
type ends struct {
	all    int
	beside int // with a cron job under way, too, which may be what ended them
}

// reach says whether they are enough: three with a cron job count as one without.
func (e ends) reach(most int) bool { return 3*(e.all-e.beside)+e.beside >= 3*most }

// suspects says whether events are to be tried one by one.
func (s *state) suspects() bool { return s.stuck >= stuckTerms || len(s.ends) > 0 }

// begin writes down that the term has begun, and says whether nothing can be to be tried, but for handlers whose rows
// are locked. It waits for these where wait says so: then there are none.
func (s store) begin(ctx context.Context, handlers []string, wait bool) (free bool, locked []string, err error) {
	statement := beginTerms
	if wait {
		statement = beginTermsWaiting
	}
	err = s.db.QueryRow(ctx, statement, handlers, s.term, stuckTerms, s.group).Scan(&free, &locked)
	return free, locked, err
}

// judge writes down whether anything has moved, and returns what is known of the handlers, and of which it was judged:
// of none whose rows are locked, unless it is to wait for those.
func (s store) judge(
	ctx context.Context, handlers []string, wait bool,
) (found map[string]*state, judged map[string]bool, err error) {
	found, judged = map[string]*state{}, map[string]bool{}
	statement := judgeTerms
	if wait {
		statement = judgeTermsWaiting
	}
	batch := s.db.Batch()
	batch.Queue(statement, handlers, s.term, s.group).Query(func(rows pgx.Rows) error {
		var handler string
		_, err := pgx.ForEachRow(rows, []any{&handler}, func() error { judged[handler] = true; return nil })
		return err
	})
	batch.Queue(deleteSettled, handlers)
	batch.Queue(selectTerms, handlers, s.term, s.group).Query(func(rows pgx.Rows) error {
		var (
			handler string
			stuck   int
			lasted  float64
		)
		_, err := pgx.ForEachRow(rows, []any{&handler, &stuck, &lasted}, func() error {
			if judged[handler] {
				found[handler] = &state{stuck, pg.Seconds(lasted), map[int64]ends{}}
			}
			return nil
		})
		return err
	})
	batch.Queue(selectCutOff, handlers).Query(func(rows pgx.Rows) error {
		var (
			handler string
			event   int64
			e       ends
		)
		_, err := pgx.ForEachRow(rows, []any{&handler, &event, &e.all, &e.beside}, func() error {
			if f := found[handler]; f != nil {
				f.ends[event] = e
			}
			return nil
		})
		return err
	})
	return found, judged, s.db.Pool.SendBatch(ctx, &batch.Batch).Close()
}

func (s store) markAlone(ctx context.Context, handler string, event int64) error {
	_, err := s.db.Exec(ctx, markAlone, handler, s.term, s.group, event)
	return err
}

// clearAlone ends the trial of an event. concluded: what is known against it counts no more.
func (s store) clearAlone(ctx context.Context, handler string, event int64, concluded bool) error {
	batch := s.db.Batch()
	batch.Queue(clearAlone, handler, s.term, s.group)
	if concluded {
		batch.Queue(deleteCutOff, handler, s.term, s.group, event)
	}
	return s.db.Pool.SendBatch(ctx, &batch.Batch).Close()
}

// markEnded leaves out rows that are locked, and says whether that was none.
func (s store) markEnded(ctx context.Context, handlers []string) (all bool, err error) {
	err = s.db.QueryRow(ctx, markEnded, handlers, s.term, s.group).Scan(&all)
	return all, err
}
