package sql

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// statements are hard to split, or to find the parameters of.
var statements = []string{
	`select 1`,
	`select 1;`,
	`select 1; ;; -- nothing`,
	`; select 1`,
	`select 1; select 2`,
	`select $1::int, $3::int, $2::int`,
	`select '$1'`,
	`select 'it''s; $1'`,
	`select e'it\'s; $1', $1::text`,
	`select E'\\'; select ''`,
	`select '\'; select ''`,
	`select "a;$1" from (select 1 as "a;$1") as "x""y;"`,
	`select $$;$1$$`,
	`select $a$ $$ ; $1 $b$ $a$, $1::int`,
	`select 1 as a$1`,
	`select 1 as e, 'x;'`,
	`select /* ; /* ; */ $1 */ $1::int /* ; */`,
	"select 1 -- ; $2\n, $1::int",
	"select 1 -- ;\r; select 2",
	`select U&'d\0061t;', b'01', x'1F', n'a;'`,
	`select (array[$1::int])[1]`,
	`do $$ begin perform 1; perform 2; end $$`,
	`create rule r as on insert to t do also (delete from t; delete from t)`,
	"create function f() returns int begin atomic select 1; select 2; end",
	`select 1 as größe;`,
	`select 1 as größe; select 2`,
	`select $1::int - 1 / 2 * 3`,
	`select 1 where $1::int>$2::int`,
}

// The server agrees on how many statements and parameters there are.
func TestScanAgreesWithTheServer(t *testing.T) {
	pool := setup(t, `create table t (id int)`)
	conn, err := pgx.Connect(t.Context(), pool.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	several := 0
	for _, sql := range statements {
		found := scan(sql)
		described, err := conn.PgConn().Prepare(t.Context(), "", sql, nil)
		refused, ok := errors.AsType[*pgconn.PgError](err)
		switch {
		case ok && strings.Contains(refused.Message, "multiple commands"):
			several++
			if found.second == 0 {
				t.Errorf("%s: the server sees two statements", sql)
			}
		case err != nil:
			t.Errorf("%s: %v", sql, err)
		case found.second != 0:
			t.Errorf("%s: the server sees no second statement at %d", sql, found.second)
		case found.params != len(described.ParamOIDs):
			t.Errorf("%s: %d parameters, the server sees %d", sql, found.params, len(described.ParamOIDs))
		}
	}
	if several < 5 {
		t.Errorf("only %d have several statements", several)
	}
}

func TestValidate(t *testing.T) {
	for name, test := range map[string]struct {
		statement Statement
		want      string // of the error; empty for a valid statement
	}{
		"smallest":  {statement: Statement{SQL: "select 1"}},
		"arguments": {statement: Statement{SQL: "select $1, $2", Args: []any{nil, 1}}},
		"empty":     {statement: Statement{SQL: "\n/* sesame */ ; -- sesame"}, want: "sql: SQL is empty"},
		"two": {
			statement: Statement{SQL: "select 'größe';\n  select 2"},
			want:      "sql: SQL has a second statement, line 2, column 3: put them into",
		},
		"begin": {statement: Statement{SQL: "BEGIN"}, want: "sql: SQL begins or ends a transaction"},
		"copy in": {
			statement: Statement{SQL: "copy sesame (a, b) from stdin"}, want: "sql: SQL copies from standard input",
		},
		"copy out": {statement: Statement{SQL: "copy (select 1 as stdin) to stdout"}},
		"too few": {
			statement: Statement{SQL: "select $1"},
			want:      "sql: SQL has the parameter $1, and there is no value for any",
		},
		"still too few": {
			statement: Statement{SQL: "select $4", Args: []any{"sesame", 2}},
			want:      "sql: SQL has the parameter $4, and there are only 2 values",
		},
		"too many": {
			statement: Statement{SQL: "select '$2', $1", Args: []any{"sesame", 2}},
			want:      "sql: Args has a value for $2",
		},
		"huge parameter": {
			statement: Statement{SQL: "select $99999999999999999999"}, want: "sql: SQL has a parameter above $65535",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.statement.Validate()
			got := text(err)
			if test.want == "" && err != nil || !strings.HasPrefix(got, test.want) || strings.Contains(got, "sesame") {
				t.Errorf("Validate = %q, want %q", got, test.want)
			}
		})
	}
}

func FuzzValidate(f *testing.F) {
	for _, sql := range statements {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		found := scan(sql)
		if found.params < 0 || found.second < 0 || found.second > utf8.RuneCountInString(sql) {
			t.Errorf("%+v", found)
		}
		_ = Statement{SQL: sql}.Validate()
		if found.first != "" && found.second == 0 && !strings.ContainsAny(sql, ";") {
			if with := scan(sql + "\n;"); with.second != 0 {
				t.Errorf("a semicolon at the end begins a second statement: %+v", with)
			}
		}
	})
}
