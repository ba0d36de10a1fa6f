package election_test

import (
	"fmt"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

func TestTermsOfConcurrentElectionsDiffer(t *testing.T) {
	url := pgtest.Database(t)
	terms := map[int64]string{}
	var all []*replica
	for i := range 16 {
		all = append(all, setup(t, url, func(o *election.Options) { o.Name = fmt.Sprintf("e%d", i) }))
	}
	for i, r := range all {
		term := pgtest.Within(t, "leader", r.leading)
		if other, ok := terms[term.Number]; ok {
			t.Errorf("e%d and %s both have term %d", i, other, term.Number)
		}
		terms[term.Number] = fmt.Sprintf("e%d", i)
	}
}
