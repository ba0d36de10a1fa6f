package election_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

type ending struct {
	Term  int64
	Ended *string
}

func history(t *testing.T, url string) []ending {
	t.Helper()
	rows, err := pgtest.Connect(t, url).Query(t.Context(), `select term, ended from pgsolo.leader_term order by term`)
	if err != nil {
		t.Fatal(err)
	}
	endings, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ending])
	if err != nil {
		t.Fatal(err)
	}
	return endings
}

func wantHistory(t *testing.T, url string, want ...string) {
	t.Helper()
	got := history(t, url)
	if len(got) != len(want) {
		t.Fatalf("%d terms, want %d", len(got), len(want))
	}
	for i, w := range want {
		ended := ""
		if got[i].Ended != nil {
			ended = *got[i].Ended
		}
		if ended != w || got[i].Term != int64(i+1) {
			t.Errorf("term %d ended %q, want %q", got[i].Term, ended, w)
		}
	}
}

func TestHistoryIsPrunedAndReadable(t *testing.T) {
	url := pgtest.Database(t)
	conn := pgtest.Connect(t, url)
	if _, err := conn.Exec(t.Context(), `insert into pgsolo.leader (election, term) values ('main', 1500);
		insert into pgsolo.leader_term select 'main', 1, n, 'h', '', now(), now(), 'resigned'
			from generate_series(1, 1500) n`); err != nil {
		t.Fatal(err)
	}
	pgtest.Within(t, "leader", setup(t, url, func(o *election.Options) { o.Holder = "me" }).leading)
	var (
		holder, ended string
	)
	pgtest.Eventually(t, "1000 terms to be kept", func() bool { // once the first ping is answered
		return pgtest.Value[int](t, conn, `select count(*) from pgsolo.leader_term`) == 1000
	})
	if err := conn.QueryRow(t.Context(), `select holder, ended from pgsolo.leadership limit 1`).
		Scan(&holder, &ended); err != nil {
		t.Fatal(err)
	}
	if holder != "me" || ended != "has not ended, as far as is known" {
		t.Errorf("newest row of the view: %q, %q", holder, ended)
	}
}
