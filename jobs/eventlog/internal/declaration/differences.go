package declaration

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// maxCounted is how many events of a new handler are counted.
const maxCounted = 100_000

const countEvents = `select count(*) from (
		select from pgsolo.event where topic = $1 and id >= $2 and not $3::int8multirange @> id limit $4
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

// beginning says where a handler begins, and how many events that is. They are counted for as long as one try takes.
func (d Declaration) beginning(ctx context.Context, handler string, done idset.Set) string {
	begins, count := int64(1), int64(0)
	if len(done) > 0 && done[0].Lo <= 1 {
		begins = done[0].Hi
	}
	err := pg.Try(ctx, func(ctx context.Context) error {
		return d.Group.DB.QueryRow(ctx, countEvents, d.Events.Handlers[handler].Topic, begins, done.Encode(),
			maxCounted).Scan(&count)
	})
	switch {
	case err != nil:
		return fmt.Sprintf(" (begins at id %d, how many events that is is not known)", begins)
	case count == maxCounted:
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
