package election_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// lockedBuffer is written by one goroutine while another one reads.
type lockedBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// The leader's fingerprint stands in its row, and a standby with another one says so, once. A term that the version
// before has begun has none.
func TestFingerprintOfTheLeader(t *testing.T) {
	url := pgtest.Database(t)
	leader := setup(t, url, func(o *election.Options) { o.Fingerprint = "new" })
	pgtest.Within(t, "leader", leader.leading)
	var logs [2]lockedBuffer
	var standbys []*replica
	for i, own := range []string{"old", "new"} {
		standbys = append(standbys, setup(t, url, func(o *election.Options) {
			o.Fingerprint, o.Logger = own, hclog.New(&hclog.LoggerOptions{Output: &logs[i]})
		}))
	}
	for _, s := range standbys {
		pgtest.Eventually(t, "a standby to know the leader's", func() bool {
			status := s.elector.Status()
			return status.Role == election.Standby && status.Fingerprint == "new"
		})
	}
	const warning = "the leader has another configuration"
	pgtest.Eventually(t, "a warning", func() bool { return strings.Contains(logs[0].String(), warning) })
	conn := pgtest.Connect(t, url)
	if _, err := conn.Exec(t.Context(), `update pgsolo.leader set fingerprint_term = term - 1`); err != nil {
		t.Fatal(err)
	}
	pgtest.Eventually(t, "no fingerprint", func() bool { return standbys[0].elector.Status().Fingerprint == "" })
	if n := strings.Count(logs[0].String(), warning); n != 1 || strings.Contains(logs[1].String(), warning) {
		t.Errorf("%d warnings, log of the one with the same fingerprint:\n%s", n, &logs[1])
	}
}
