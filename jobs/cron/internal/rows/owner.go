package rows

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	selectOwners = `select j.job, j."group", pgsolo.is_led(j."group"), pgsolo.has_left(j."group")
		from pgsolo.cron_job j where j.job = any ($2::text[]) and j."group" <> $1 and j.forgotten_at is null`

	// Only what has changed is written, so that a transaction which has a job's row, to pause it, holds up no leader
	// that knows it.
	changedCronJobs = `select u.job, coalesce(j."group", $1), j.job is not null and j.forgotten_at is null, ` +
		`j."group" <> $1 and pgsolo.is_led(j."group"), j."group" <> $1 and pgsolo.has_left(j."group")
		from unnest($2::text[], $3::text[], $4::boolean[]) as u (job, schedule, enabled)
		left join pgsolo.cron_job j on j.job = u.job
		where (j.schedule, j."group", j.enabled, j.forgotten_at) is distinct from ` +
		`(u.schedule, $1, u.enabled, null::timestamptz)`

	// A job may come from another group, which has forgotten it or is gone. That one's transactions are over when its
	// leader's row is locked, and later ones see that the job has gone. Its leader is notified, if there is one after
	// all, and gives the job up.
	lockLeaders        = `select from pgsolo.cron_leader where "group" = any ($1::text[]) order by "group" for update`
	notifyOtherLeaders = `select pg_notify('` + channel + `', '')`
)

// HeldOwner is a group that has a job.
type HeldOwner struct {
	Group string
	group.Owner
}

// Take says whether a job is taken from another group that has it: that one is gone.
type Take func(job string, owner HeldOwner) bool

// Owners returns which of the jobs are another group's, and writes nothing.
func (s Store) Owners(ctx context.Context, names []string) (map[string]HeldOwner, error) {
	rows, err := s.DB.Query(ctx, selectOwners, s.Group, names)
	if err != nil {
		return nil, err
	}
	owners := map[string]HeldOwner{}
	var (
		job   string
		owner HeldOwner
	)
	_, err = pgx.ForEachRow(rows, []any{&job, &owner.Group, &owner.Lives, &owner.Left}, func() error {
		owners[job] = owner
		return nil
	})
	return owners, err
}

// errNotLocked means that a claim has to be made anew: it takes jobs of groups whose leaders' rows it has not locked.
var errNotLocked = errors.New("other groups are not locked")

// taking is what one claim takes from other groups.
//
// Two groups may swap jobs, and each claim locks both of their leaders' rows. So they are locked in one order, before
// anything else; but which ones these are is known only when the jobs have been read, and those have to be read under
// the lock of the own row, or else the leader before could still change them. So a claim that finds others begins anew,
// with their locks. Most find none, and pay nothing. Until it begins anew a claim has its own row and waits for none.
type taking struct {
	take   Take
	locked []string          // the groups; nil: those of the first try, which takes from none
	from   map[string]string // the first try's decisions: whose each job was
}

// lockOthers locks the leader's row of this group and of those that jobs are taken from.
func (s Store) lockOthers(ctx context.Context, tx pg.Tx, t *taking) error {
	if t.locked == nil {
		return nil
	}
	if _, err := tx.Exec(ctx, lockLeaders, append(slices.Clone(t.locked), s.Group)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, notifyOtherLeaders)
	return err
}

// takes decides once for each job. What has changed hands between two tries is another one's, until it is asked again.
func (t *taking) takes(job string, owner HeldOwner, declared bool) bool {
	if t.locked != nil {
		return t.from[job] == owner.Group || !declared && slices.Contains(t.locked, owner.Group)
	}
	return !declared || t.take(job, owner)
}

// changed returns the jobs whose rows are not as they should be, but for those that are held.
func (s Store) changed(
	ctx context.Context, tx pg.Tx, c *Claim, t *taking, names, schedules []string, enabled []bool,
) (changed []string, err error) {
	rows, err := tx.Query(ctx, changedCronJobs, s.Group, names, schedules, enabled)
	if err != nil {
		return nil, err
	}
	c.Held = map[string]HeldOwner{}
	from := map[string]string{}
	var (
		job      string
		owner    HeldOwner
		declared bool
		led      *bool
		left     *bool
		others   []string
	)
	_, err = pgx.ForEachRow(rows, []any{&job, &owner.Group, &declared, &led, &left}, func() error {
		if owner.Group != s.Group {
			owner.Lives, owner.Left = led != nil && *led, left != nil && *left
			if !t.takes(job, owner, declared) {
				c.Held[job] = owner
				return nil
			}
			if declared && !owner.Left { // its process may have lost no more than its sessions
				c.Moved = append(c.Moved, job)
			}
			from[job] = owner.Group
			others = append(others, owner.Group)
		}
		changed = append(changed, job)
		return nil
	})
	if err == nil && t.locked == nil && len(others) > 0 {
		slices.Sort(others)
		t.locked, t.from = slices.Compact(others), from
		err = errNotLocked
	}
	return changed, err
}
