// Package declaration writes to the database what a leader of the event log has, so that what it lacks is marked, and
// tells what undeclared names hold back.
package declaration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// The doorbell's row has the term of the group's latest leader. It is locked until the topics are replaced, so that
	// a stale leader does not replace them again.
	knowTopics = `with fence as (
			insert into pgsolo.doorbell as d ("group", armed, term) values ($1, false, $3)
			on conflict ("group") do update set term = excluded.term where d.term <= excluded.term
			returning "group"
		)
		select pgsolo.know("group", $2) from fence`

	// The cursors of the group's other handlers get this leader's term, so that a stale leader, which may still have
	// them, cannot claim them. A cursor without a topic was last claimed by an older version, and may be another
	// group's. What was noted of the log for the position stays noted.
	fenceOthers = `update pgsolo.cursor set term = $3, noted_by = case when noted_by = term then $3 else noted_by end
		where "group" = $1 and topic <> '' and handler <> all ($2) and term < $3`

	// What the leader has claimed holds back the log, although it is not declared.
	configureOwn = `update pgsolo.cursor set configured = true
		where "group" = $1 and handler = any ($2) and term = $3 and not configured`
)

// Declaration is what a leader has.
type Declaration struct {
	Group  group.Group
	Events group.Events
	Logger hclog.Logger

	ReportAfter time.Duration // until Report reads for the first time

	encoded group.Declared
}

// New encodes what a leader has.
func New(of group.Group, events group.Events, logger hclog.Logger) Declaration {
	return Declaration{
		Group: of, Events: events, Logger: logger, ReportAfter: firstHeldBack,
		encoded: group.Encode(group.EventLog, events),
	}
}

// Declare declares it for the leader of a term. Handlers of other leaders are fenced first. done are what handlers were
// done with when their cursors were claimed, for those that were. It returns jobs.ErrFenced, wrapped, where a newer
// leader has declared.
func (d Declaration) Declare(ctx context.Context, term int64, done map[string]idset.Set) error {
	if err := d.fenceOthers(ctx, term); err != nil {
		return err
	}
	var previous group.Events
	differs, err := d.declareConfiguration(ctx, term, slices.Collect(maps.Keys(done)), &previous)
	if err == nil && differs {
		d.logDifferences(ctx, previous, done)
	}
	return err
}

// fenceOthers keeps a stale leader from claiming the cursors of the group's other handlers.
func (d Declaration) fenceOthers(ctx context.Context, term int64) error {
	names := slices.Collect(maps.Keys(d.Events.Handlers))
	if names == nil {
		names = []string{}
	}
	fence := func(ctx context.Context) error {
		_, err := d.Group.DB.Exec(ctx, fenceOthers, d.Group.Name, names, term)
		return err
	}
	if len(names) > 0 {
		return d.Group.DB.Persist(ctx, d.Logger, "fence cursors", fence)
	}
	err := d.Group.DB.PersistAllowed(ctx, d.Logger, "fence cursors", fence)
	if pg.IsNotAllowed(err) { // nor does it need to, until it has handlers
		return nil
	}
	return err
}

// declareConfiguration makes this configuration the group's. A role that may not do that has its leader go on without:
// then nothing of an earlier one is ever retired. The handlers that it has claimed hold back the log all the same.
func (d Declaration) declareConfiguration(
	ctx context.Context, term int64, claimed []string, previous *group.Events,
) (bool, error) {
	differs := false
	err := d.Group.DB.PersistAllowed(ctx, d.Logger, "declare the configuration", func(ctx context.Context) (err error) {
		differs, err = d.Group.Declare(ctx, term, d.encoded, previous)
		return err
	})
	if pg.IsNotAllowed(err) {
		d.Logger.Warn("the role may not say what this leader has, so that nothing of an earlier one is retired",
			"error", err)
		err = d.Group.DB.PersistAllowed(ctx, d.Logger, "mark cursors as configured", func(ctx context.Context) error {
			_, err := d.Group.DB.Exec(ctx, configureOwn, d.Group.Name, claimed, term)
			return err
		})
		if pg.IsNotAllowed(err) {
			err = nil
		}
		return false, err
	}
	return differs, err
}

// DeclareTopics makes the topics of the configuration known. A role that may not do that has its leader go on without.
func (d Declaration) DeclareTopics(ctx context.Context, term int64) error {
	err := d.Group.DB.PersistAllowed(ctx, d.Logger, "make topics known", func(ctx context.Context) error {
		var changed bool
		err := d.Group.DB.QueryRow(ctx, knowTopics, d.Group.Name, d.Events.Accepted(), term).Scan(&changed)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("topics: %w", jobs.ErrFenced)
		case err == nil && changed:
			d.Logger.Info("the event log now takes other topics than before", "topics_of_group", d.Events.Accepted())
		}
		return err
	})
	if pg.IsNotAllowed(err) {
		d.Logger.Warn("the role may not say which topics are known, "+
			"so that the event log goes on refusing those that it refuses now", "error", err)
		return nil
	}
	return err
}
