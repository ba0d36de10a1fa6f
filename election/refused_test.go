package election_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Whatever the server answers when a term is to begin, the replica says so, tries again and leads when it may.
func TestBeginningThatIsRefused(t *testing.T) {
	for _, code := range []string{
		"57014", "25006", "42501", "53100", "55P03", "40001", "40P01", "XX000", "XX001", "0A000", "26000", "42P01",
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			at := pgtest.Database(t)
			conn, log := pgtest.Connect(t, at), &pgtest.Buffer{}
			const refuse = `create function refuse() returns trigger language plpgsql as
				$$ begin raise exception 'not now' using errcode = '%s'; end $$;
				create trigger refuse before update on pgsolo.leader for each row execute function refuse()`
			_, err := conn.Exec(t.Context(), fmt.Sprintf(refuse, code), pgx.QueryExecModeSimpleProtocol)
			if err != nil {
				t.Fatal(err)
			}
			r := setup(t, at, logged(log))
			pgtest.Eventually(t, "what the server says", func() bool {
				return strings.Contains(log.String(), "not now") && strings.Contains(log.String(), code)
			})
			if _, err := conn.Exec(t.Context(), `drop trigger refuse on pgsolo.leader`); err != nil {
				t.Fatal(err)
			}
			if term := pgtest.Within(t, "leader", r.leading); term.Number != 1 {
				t.Errorf("term %d", term.Number)
			}
		})
	}
}
