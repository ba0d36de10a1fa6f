// Package retention deletes from the event log what is past the retention of its topic and finished by every handler,
// and has the space used again.
//
// No event is deleted that a configured handler has not finished, whether its group is led or not: the statement that
// deletes reads the cursors in its own snapshot. What is past its retention is deleted by passes, with a pause of a
// minute at most between two. A pass that fails is repeated, and ends no leadership.
package retention

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// AnyTopic stands for every topic that has no retention of its own.
const AnyTopic = "*"

const (
	// A pass begins ten times per shortest retention, within these limits.
	minTrimPause = 250 * time.Millisecond
	maxTrimPause = time.Minute
)

// Trimmer deletes events that are past the retention of their topic and that no configured handler needs any more, and
// keys of dropped duplicates that have expired. It gives their space back to the tables, so that these stay about as
// large as what is in them. It also writes of its group, every hour, that it is alive.
//
// It belongs to one leader and uses one connection at a time. Those of several groups, and a leader that has been
// replaced, may run at once: what a handler has not finished is read by the statement that deletes. It may run only
// once the cursors of its group's handlers are marked as configured.
type Trimmer struct {
	db       pg.DB
	group    string
	declared group.Events // by this leader
	logger   hclog.Logger

	own     []*trimClass             // as this leader's configuration alone would have them
	kept    map[string]time.Duration // what counts, of which the classes are made
	classes []*trimClass
	pause   time.Duration // between two passes
	page    int           // how many events the next statement reads
	log     *space
	keys    *space

	failing  bool // the latest pass failed
	mayNot   bool // vacuum: the tables are another role's
	heldBack loop.Episode
}

// New takes what this leader declares.
func New(of group.Group, declared group.Events, logger hclog.Logger) *Trimmer {
	t := &Trimmer{
		db: of.DB, group: of.Name, declared: declared, logger: logger, pause: maxTrimPause, page: firstTrimPage,
		log: &space{table: of.DB.Place("pgsolo.event")}, keys: &space{table: of.DB.Place("pgsolo.dedup")},
	}
	t.keep(declared.Longest(nil, nil))
	t.own = t.classes
	for _, c := range t.own {
		t.pause = min(t.pause, max(minTrimPause, c.retention/10))
	}
	return t
}

// keep takes the retention of each topic, with "*" for every other one; 0 keeps its events for ever.
func (t *Trimmer) keep(retention map[string]time.Duration) {
	if t.kept == nil || !maps.Equal(t.kept, retention) {
		t.kept, t.classes = retention, trimClasses(retention)
	}
}

// Run makes one pass after another until ctx is done; then it ends at once, in the middle of a pass too. A pass that
// fails is logged, and the next one goes on with its work: a log that grows is no reason to give up a leadership.
func (t *Trimmer) Run(ctx context.Context) {
	timer := time.NewTimer(t.pause)
	defer timer.Stop()
	t.log.truncated, t.keys.truncated = time.Now(), time.Now() // not among the first things of a new leader
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		err := t.pass(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !t.failing:
			t.logger.Warn("retention fails, the log may grow until it works again",
				"next_try_in", t.pause, "error", err)
		case err == nil && t.failing:
			t.logger.Info("retention works again")
		}
		t.failing = err != nil
		timer.Reset(t.pause)
	}
}

// pass deletes what there is to delete now. Each statement is a transaction of its own.
func (t *Trimmer) pass(ctx context.Context) error {
	return errors.Join(t.trimLog(ctx), t.trimKeys(ctx))
}

const (
	// The trimmers of the version before take a cursor that was not seen for a week for gone.
	refreshSeen = `update pgsolo.cursor set seen_at = now()
		where "group" = $1 and configured and seen_at < now() - interval '1 hour'`

	// The lowest id that a handler of the topic has not finished. A cursor without a topic is one that no leader has
	// marked yet. A topic that a handler has left counts while the grace lasts: it may come back.
	unfinishedByTopic = `select h.topic, min(lower('{[1,)}'::int8multirange - h.done)) as id
		from (
			select c.topic, c.done from pgsolo.cursor c where c.configured
			union all
			select k.topic, k.done from pgsolo.left_topics() k
		) h
		group by h.topic
		having min(lower('{[1,)}'::int8multirange - h.done)) is not null`

	// What leaders of this group and of others have declared within the grace.
	selectDeclared = `select "group", body from pgsolo.declared_events()`
)

// unfinished is, per topic, the lowest id that a configured handler has not finished; under "", that of handlers of any
// topic.
type unfinished map[string]int64

// trimLog begins by marking its own group as alive, without which nothing may be deleted: its cursors may be a week
// old.
func (t *Trimmer) trimLog(ctx context.Context) error {
	err := pg.Try(ctx, func(ctx context.Context) error {
		_, err := t.db.Exec(ctx, refreshSeen, t.group)
		return err
	})
	if err != nil {
		return fmt.Errorf("mark cursors as seen: %w", err)
	}
	if len(t.own) == 0 {
		return nil
	}
	if err := t.readDeclared(ctx); err != nil {
		return fmt.Errorf("read the retentions that leaders have declared: %w", err)
	}
	if len(t.classes) == 0 {
		return nil
	}
	open := unfinished{}
	err = pg.Try(ctx, func(ctx context.Context) error {
		rows, err := t.db.Query(ctx, unfinishedByTopic)
		if err != nil {
			return err
		}
		var (
			topic string
			id    int64
		)
		_, err = pgx.ForEachRow(rows, []any{&topic, &id}, func() error {
			open[topic] = id
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("read what handlers have finished: %w", err)
	}
	for _, c := range t.classes {
		if err := t.trim(ctx, c, open); err != nil {
			return fmt.Errorf("delete events older than %s: %w", c.retention, err)
		}
	}
	return t.shrink(ctx, t.log)
}

// readDeclared has the longest retention count that a leader has declared within the grace.
func (t *Trimmer) readDeclared(ctx context.Context) error {
	var own, others []group.Events
	err := pg.Try(ctx, func(ctx context.Context) error {
		own, others = nil, nil
		rows, err := t.db.Query(ctx, selectDeclared)
		if err != nil {
			return err
		}
		var (
			of   string
			body []byte
		)
		_, err = pgx.ForEachRow(rows, []any{&of, &body}, func() error {
			var declared group.Events
			if err := json.Unmarshal(body, &declared); err != nil {
				return err
			}
			if of == t.group {
				own = append(own, declared)
			} else {
				others = append(others, declared)
			}
			return nil
		})
		return err
	})
	if err == nil {
		t.keep(t.declared.Longest(own, others))
	}
	return err
}

// A key that is being renewed is locked by its producer, and is not waited for.
const deleteKeys = `with gone as (
		delete from pgsolo.dedup where ctid = any (array(
			select ctid from pgsolo.dedup where expires_at <= clock_timestamp()
			order by expires_at limit $1 for update skip locked
		))
		returning topic, dedup_key
	)
	select count(*), coalesce(sum(120 + 2 * (octet_length(topic) + octet_length(dedup_key))), 0)::bigint from gone`

// trimKeys deletes expired keys.
func (t *Trimmer) trimKeys(ctx context.Context) error {
	for {
		var gone, size int64
		err := pg.Try(ctx, func(ctx context.Context) error {
			return t.db.QueryRow(ctx, deleteKeys, firstTrimPage).Scan(&gone, &size)
		})
		if err != nil {
			return fmt.Errorf("delete expired deduplication keys: %w", err)
		}
		if err := t.deleted(ctx, t.keys, gone, size); err != nil {
			return err
		}
		if gone < firstTrimPage {
			return t.shrink(ctx, t.keys)
		}
	}
}

// trimClass is the topics of one retention. They are trimmed together: each event of the log is read once per class,
// not once per topic.
type trimClass struct {
	retention time.Duration
	topics    []string
	others    bool // all topics but these

	position int64            // up to this id, what is past its retention is deleted, but for the lagging topics
	lagging  map[string]int64 // topics whose handlers have not finished that much: up to where theirs is deleted
	restart  time.Time        // when to begin from the start again
}

func (c *trimClass) has(topic string) bool { return slices.Contains(c.topics, topic) != c.others }

func trimClasses(retention map[string]time.Duration) []*trimClass {
	byRetention := map[time.Duration]*trimClass{}
	rest := &trimClass{retention: retention[AnyTopic], topics: []string{}, others: true}
	for topic, d := range retention {
		if topic == AnyTopic || d == rest.retention {
			continue
		}
		rest.topics = append(rest.topics, topic)
		if d > 0 && byRetention[d] == nil {
			byRetention[d] = &trimClass{retention: d}
		}
		if d > 0 {
			byRetention[d].topics = append(byRetention[d].topics, topic)
		}
	}
	var classes []*trimClass
	if rest.retention > 0 {
		classes = append(classes, rest)
	}
	for _, c := range byRetention {
		classes = append(classes, c)
	}
	slices.SortFunc(classes, func(a, b *trimClass) int { return cmp.Compare(a.retention, b.retention) })
	return classes
}
