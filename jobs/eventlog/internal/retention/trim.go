package retention

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// How many events a statement reads: it doubles while they are quick, and halves when they are not, as with large
	// payloads.
	firstTrimPage = 1000
	maxTrimPage   = 20_000
	quickTrim     = 50 * time.Millisecond
	slowTrim      = 250 * time.Millisecond

	// Some events are passed over: those dated in the future, and those whose transaction commits later than their
	// retention. To find them, the log is read from the start now and then. That also reads all that is kept longer, so
	// it may take a hundredth of the time.
	restartEvery = 10 * time.Minute
	restartShare = 100
)

const (
	// Events come and go in the order of their ids, or nearly so: created_at is when the transaction began, or any date
	// that the producer gave. So one page of the log is read after the other, up to the first event of any topic that
	// is not old enough. The sizes are what the columns take in the table, compressed as they are.
	//
	// followIndex has to go before it: where the planner knows little of the table, or much of its space was used
	// again, it would rather read and sort the whole of it for each page.
	followIndex = `select set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)`
	selectPage  = `with cut as materialized (select now() - $6::bigint * interval '1 microsecond' as at),
		page as (
			select e.id, e.created_at, (e.topic = any ($4)) <> $5 as ours,
				100 + coalesce(pg_column_size(e.key), 0) + pg_column_size(e.headers) + pg_column_size(e.payload) as size
			from pgsolo.event e
			where e.id > $1
			order by e.id
			limit $3
		)
		select count(*), coalesce(max(id), $1),
			min(id) filter (where created_at >= (select at from cut) and created_at <= now()),
			coalesce((avg(size) filter (where ours))::bigint, 0)
		from page where id <= $2`

	// What handlers have not finished comes from the very snapshot that deletes.
	deleteEvents = `with unfinished as materialized (
			` + unfinishedByTopic + `
		)
		delete from pgsolo.event e
		where e.id > $1 and e.id <= $2
			and e.created_at < (select now() - $5::bigint * interval '1 microsecond') and (e.topic = any ($3)) <> $4
			and e.id < coalesce((select u.id from unfinished u where u.topic = ''), 9223372036854775807)
			and not exists (select from unfinished u where u.topic = e.topic and u.id <= e.id)`
)

// trim deletes a class's events that are past their retention. open was read before, so that nothing above it is taken
// for deleted.
func (t *Trimmer) trim(ctx context.Context, c *trimClass, open unfinished) error {
	began := time.Now()
	fromStart := !began.Before(c.restart)
	if fromStart {
		c.position, c.lagging = 0, map[string]int64{}
	}
	ceiling := int64(math.MaxInt64)
	if id, ok := open[""]; ok {
		ceiling = id - 1
	}
	for topic, from := range c.lagging {
		to := min(c.position, ceiling)
		if id, ok := open[topic]; ok {
			to = min(to, id-1)
		}
		end, err := t.trimRange(ctx, c.retention, []string{topic}, false, from, to)
		c.lagging[topic] = max(from, end)
		if err != nil {
			return err
		}
		if end >= c.position {
			delete(c.lagging, topic)
		}
	}

	before := c.position
	end, err := t.trimRange(ctx, c.retention, c.topics, c.others, before, ceiling)
	c.position = max(before, end)
	for topic, id := range open {
		if _, known := c.lagging[topic]; !known && topic != "" && c.has(topic) && id <= c.position {
			c.lagging[topic] = max(before, id-1)
		}
	}
	if fromStart && err == nil {
		c.restart = time.Now().Add(max(restartEvery, restartShare*time.Since(began)))
	}
	return err
}

// trimRange deletes what is old enough above one id up to another, and returns up to where it has come: there, or to
// the first event of any topic that is not old enough, or to the end of the log.
func (t *Trimmer) trimRange(
	ctx context.Context, retention time.Duration, topics []string, others bool, from, to int64,
) (end int64, err error) {
	for from < to {
		began, limit := time.Now(), t.page
		page, gone, err := t.trimPage(ctx, retention, topics, others, from, to, limit)
		switch took := time.Since(began); {
		case took > slowTrim:
			t.page = max(1, limit/2)
		case took < quickTrim && page.read == int64(limit):
			t.page = min(maxTrimPage, 2*limit)
		}
		if err != nil {
			return from, fmt.Errorf("above id %d: %w", from, err)
		}
		from = page.last
		if err := t.deleted(ctx, t.log, gone, gone*page.size); err != nil {
			return from, err
		}
		switch {
		case page.young:
			return from, nil
		case page.read < int64(limit) && to < math.MaxInt64:
			return to, nil
		case page.read < int64(limit):
			return from, nil
		}
	}
	return from, nil
}

// trimmed is a part of the log that was read.
type trimmed struct {
	read  int64
	last  int64 // id
	young bool  // the event after it is not old enough
	size  int64 // of an event on average
}

// trimPage deletes what is old enough among the next events, limit of them at most.
func (t *Trimmer) trimPage(
	ctx context.Context, retention time.Duration, topics []string, others bool, from, to int64, limit int,
) (page trimmed, gone int64, err error) {
	micros := retention.Microseconds()
	err = pg.Try(ctx, func(ctx context.Context) error {
		var young *int64
		batch := t.db.Batch() // that is one transaction
		batch.Queue(followIndex)
		batch.Queue(selectPage, from, to, limit, topics, others, micros).QueryRow(func(row pgx.Row) error {
			return row.Scan(&page.read, &page.last, &young, &page.size)
		})
		if err := t.db.Pool.SendBatch(ctx, &batch.Batch).Close(); err != nil {
			return err
		}
		if young != nil {
			page.last, page.young = *young-1, true
		}
		if page.last <= from {
			return nil
		}
		tag, err := t.db.Exec(ctx, deleteEvents, from, page.last, topics, others, micros)
		gone = tag.RowsAffected()
		return err
	})
	return page, gone, err
}
