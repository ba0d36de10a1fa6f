package replica

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// inEncoding makes a database of the encoding, with the tables, and returns its URL and a session on it.
func inEncoding(t *testing.T, encoding string) (there string, conn *pgx.Conn) {
	t.Helper()
	base := pgtest.Database(t)
	admin := pgtest.Connect(t, base)
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/") + strings.ToLower(encoding)
	exec := func(conn *pgx.Conn, sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	quoted := pgx.Identifier{name}.Sanitize()
	exec(admin, `create database `+quoted+` encoding '`+encoding+`' locale 'C' template template0`)
	t.Cleanup(func() {
		ctx := context.Background() // that of the test is over
		admin, err := pgx.Connect(ctx, base)
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close(ctx)
		if _, err := admin.Exec(ctx, `drop database `+quoted+` with (force)`); err != nil {
			t.Error(err)
		}
	})
	u.Path = "/" + name
	if err := Migrate(t.Context(), u.String(), "pgsolo"); err != nil {
		t.Fatal(err)
	}
	conn = pgtest.Connect(t, u.String())
	exec(conn, `set client_encoding = 'UTF8'; create table effect (what text, text text)`)
	return u.String(), conn
}

// A replica leads in a database of any encoding that says which characters its bytes are, and texts come as they are.
func TestEncodings(t *testing.T) {
	for encoding, text := range map[string]string{
		"LATIN1": `ünï \ '`, "WIN1252": `ünï €`, "EUC_JP": `日本`, "UTF8": `🐘`,
	} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			there, conn := inEncoding(t, encoding)
			var log pgtest.Buffer
			defer func() {
				if t.Failed() {
					t.Log(log.String())
				}
			}()
			const listen, advertise = `http { listen = "127.0.0.1:0" }`, `http {
				listen    = "127.0.0.1:0"
				advertise = "http://日本.example:80"
			}`
			runReplica(t, there, strings.Replace(forStatements, listen, advertise, 1)+`
				topic "t" {}
				handler "event" {
					topic = "t"
					sql {
						statement = "insert into effect values ('event', $1)"
						args      = [event.payload.text]
					}
				}
				handler "message" {
					channel = "message"
					sql {
						statement = "insert into effect values ('message', $1)"
						args      = [event.payload]
					}
				}
				cron "tick" {
					schedule = "* * * * * *"
					sql { statement = "insert into effect values ('tick', '`+
				strings.NewReplacer(`\`, `\\`).Replace(strings.ReplaceAll(text, `'`, `''`))+`')" }
				}`, &log)
			pgtest.Eventually(t, "the first tick", func() bool {
				return pgtest.Value[bool](t, conn, `select exists (select from effect where what = 'tick')`)
			})
			if _, err := conn.Exec(t.Context(), `select pgsolo.emit('t', jsonb_build_object('text', $1::text)),
				pg_notify('message', $1)`, text); err != nil {
				t.Fatal(err)
			}
			pgtest.Eventually(t, "the event and the message", func() bool {
				return pgtest.Value[int](t, conn, `select count(distinct what) from effect where text = $1`, text) == 3
			})
		})
	}
}

// A database whose encoding no session in UTF8 can read is refused by name, too.
func TestEncodingWithoutConversion(t *testing.T) {
	t.Parallel()
	base, err := url.Parse(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	admin := pgtest.Connect(t, base.String())
	base.Path += "_mule"
	name := pgx.Identifier{strings.TrimPrefix(base.Path, "/")}.Sanitize()
	const create = ` encoding 'MULE_INTERNAL' locale 'C' template template0`
	if _, err := admin.Exec(t.Context(), `create database `+name+create); err != nil {
		t.Fatal(err)
	}
	var log pgtest.Buffer
	err = pgtest.Within(t, "refusal", runReplica(t, base.String(), forStatements, &log))
	if err == nil || !strings.Contains(err.Error(), "use a database with another encoding") ||
		!strings.Contains(err.Error(), "MULE_INTERNAL") {
		t.Errorf("error %v", err)
	}
	if _, err := admin.Exec(t.Context(), `drop database `+name+` with (force)`); err != nil {
		t.Error(err)
	}
}

// A database without an encoding is refused by name.
func TestNoEncoding(t *testing.T) {
	t.Parallel()
	there, _ := inEncoding(t, "SQL_ASCII")
	var log pgtest.Buffer
	err := pgtest.Within(t, "refusal", runReplica(t, there, forStatements, &log))
	if err == nil || !strings.Contains(err.Error(), "the database has the encoding SQL_ASCII") {
		t.Errorf("error %v", err)
	}
}
