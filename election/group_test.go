package election_test

import (
	"context"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

func TestLeadershipsSpread(t *testing.T) {
	url := pgtest.Database(t)
	names := []string{"a", "b", "c"}
	// Another session has the locks until all wait for them: a process that leads already yields to those that wait,
	// not to those still to come.
	conn := pgtest.Connect(t, url)
	for _, sql := range []string{
		`insert into pgsolo.leader (election) values ('a'), ('b'), ('c')`,
		`select pg_advisory_lock('pgsolo.leader'::regclass::oid::int, lock_id) from pgsolo.leader`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	held := make([]chan string, 3) // by process: elections that it leads
	for i := range held {
		held[i] = make(chan string, 10)
		group := &election.Group{}
		for _, name := range names {
			r := &replica{t: t, ended: make(chan error, 1)}
			r.start(url, func(_ context.Context, term election.Term) error {
				held[i] <- name
				<-term.Stopping
				return nil
			}, func(o *election.Options) { o.Name, o.Group, o.Holder = name, group, string(rune('0'+i)) })
		}
	}
	pgtest.Eventually(t, "all to queue", func() bool {
		return pgtest.Value[int](t, conn, `select count(*) from pg_locks where locktype = 'advisory' and not granted
			and database = (select oid from pg_database where datname = current_database())`) == len(held)*len(names)
	})
	if _, err := conn.Exec(t.Context(), `select pg_advisory_unlock_all()`); err != nil {
		t.Fatal(err)
	}
	for i := range held {
		pgtest.Within(t, "a leadership for each process", held[i])
	}
	for i := range held {
		if len(held[i]) > 0 {
			t.Errorf("process %d leads more than one of three elections", i)
		}
	}
}

func TestOneProcessLeadsAllElectionsIfItIsAlone(t *testing.T) {
	url := pgtest.Database(t)
	group := &election.Group{}
	for _, name := range []string{"a", "b"} {
		named := setup(t, url, func(o *election.Options) { o.Name, o.Group = name, group })
		pgtest.Within(t, "leader of "+name, named.leading)
	}
}
