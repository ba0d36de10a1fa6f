package replica

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/election"
)

// compareEvery is how often a standby looks whether the leader has another configuration.
const compareEvery = 2 * time.Second

// compare logs, once for each leader, what that does not run of this replica's configuration. It asks the database only
// where their fingerprints differ.
func (c *candidate) compare(ctx context.Context) {
	ticker := time.NewTicker(compareEvery)
	defer ticker.Stop()
	var compared int64 // the term
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s := c.elector.Status()
		if c.runner == nil || s.Role != election.Standby || s.Term.Number == compared || s.Fingerprint == "" ||
			s.Fingerprint == c.config.Fingerprint {
			continue
		}
		lacks, known, err := c.lacks(standing(ctx), s.Term.Number)
		if err != nil {
			c.logger.Debug("what the leader runs is not known", "error", err)
		}
		if _, refused := errors.AsType[*pgconn.PgError](err); refused || known {
			compared = s.Term.Number // to ask again would not help
		}
		if len(lacks) > 0 {
			c.logger.Warn("the leader does not run what this replica's configuration has", "leader", s.Holder,
				"term", s.Term.Number, "not_run", lacks)
		}
	}
}

// lacks returns what this replica has and the leader of a term has not. known is false while that leader has not said
// what it has.
func (c *candidate) lacks(ctx context.Context, term int64) (names []string, known bool, err error) {
	handlers, known, err := c.runner.Lacks(ctx, term)
	if !known || err != nil {
		return nil, false, err
	}
	crons, known, err := c.crons.Lacks(ctx, term)
	if !known || err != nil {
		return nil, false, err
	}
	return append(handlers, crons...), true, nil
}
