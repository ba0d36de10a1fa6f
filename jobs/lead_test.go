package jobs_test

import (
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
)

// An embedder hands the term of an election over by a conversion, for which neither package imports the other.
func TestTermConvertsToLead(t *testing.T) {
	term := election.Term{Election: "main", Holder: "here", Timeline: 2, Number: 3, Session: "pgsolo main term 3",
		ServerStart: time.Unix(4, 0)}
	if lead := jobs.Lead(term); lead.Number != 3 || lead.Timeline != 2 || lead.Holder != "here" || lead.Held != nil ||
		!lead.ServerStart.Equal(term.ServerStart) {
		t.Errorf("got %+v", lead)
	}
}
