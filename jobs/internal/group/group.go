package group

import (
	"time"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// DefaultForgetAfter is the grace where Options do not say one.
const DefaultForgetAfter = 24 * time.Hour

// Group is a group in one schema.
type Group struct {
	DB          pg.DB
	Name        string
	ForgetAfter time.Duration // the grace, as Options have it: 0 is the default one, and less is none
}

// Grace is how long a group has to be led without a name until that is retired.
func (g Group) Grace() time.Duration {
	if g.ForgetAfter == 0 {
		return DefaultForgetAfter
	}
	return max(0, g.ForgetAfter)
}

// Owner is what is known of the leader of another group.
type Owner struct {
	Lives bool // its lock is held
	Left  bool // the latest one has stopped as planned
}
