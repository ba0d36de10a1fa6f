package declaration

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// maxCounted is how many rows of the log are read to count the events of a new handler: some 2 ms, whatever the log
// holds, since the handler works them off at the same time.
const maxCounted = 10_000

const countEvents = `select count(*) filter (where topic = $1), count(*) = $4::bigint from (
		select topic from pgsolo.event where id >= $2 and not $3::int8multirange @> id order by id limit $4
	) e`

// logDifferences logs in one line what differs from the configuration of the leader before, and of a handler that is
// new, where it begins and how many events that is.
func (d Declaration) logDifferences(ctx context.Context, previous group.Events, done map[string]idset.Set) {
	added, gone, changed := group.Differences(previous.Definitions(), d.Events.Definitions())
	if len(added)+len(gone)+len(changed) == 0 {
		return // another version has written the same in another way
	}
	added = group.Listed(added)
	for i, name := range added {
		handler, is := strings.CutPrefix(name, "handler ")
		if before, claimed := done[handler]; is && claimed {
			added[i] = name + d.beginning(ctx, handler, before)
		}
	}
	d.Logger.Info("the configuration differs from that of the leader before",
		"new", added, "gone", group.Listed(gone), "changed", group.Listed(changed))
}

// beginning says where a handler begins, and how many events that is.
func (d Declaration) beginning(ctx context.Context, handler string, done idset.Set) string {
	begins, count, more := int64(1), int64(0), false
	if len(done) > 0 && done[0].Lo <= 1 {
		begins = done[0].Hi
	}
	err := pg.Try(ctx, func(ctx context.Context) error {
		return d.Group.DB.QueryRow(ctx, countEvents, d.Events.Handlers[handler].Topic, begins, done.Encode(),
			maxCounted).Scan(&count, &more)
	})
	switch {
	case err != nil:
		return fmt.Sprintf(" (begins at id %d, how many events that is is not known)", begins)
	case more:
		return fmt.Sprintf(" (begins at id %d, %d events or more)", begins, count)
	}
	return fmt.Sprintf(" (begins at id %d, %d events)", begins, count)
}

// Lacks returns what is declared here and not by the leader of a term, each by its kind and name. known is false while
// that leader has not declared what it has.
func (d Declaration) Lacks(ctx context.Context, term int64) (names []string, known bool, err error) {
	var leads group.Events
	if known, err = d.Group.Declared(ctx, term, group.EventLog, &leads); known {
		names, _, _ = group.Differences(leads.Definitions(), d.Events.Definitions())
	}
	return group.Listed(names), known, err
}
