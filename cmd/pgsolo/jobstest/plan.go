package jobstest

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5"
)

// RowsRead carries a statement out, and returns how many rows of a table its plan has looked at, those that a filter
// removed included, with the plan.
func RowsRead(t testing.TB, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, table, sql string, args ...any) (rows int, plan string) {
	t.Helper()
	var text []byte
	if err := db.QueryRow(t.Context(), "explain (analyze, format json) "+sql, args...).Scan(&text); err != nil {
		t.Fatal(err)
	}
	type node struct {
		Relation string  `json:"Relation Name"`
		Rows     float64 `json:"Actual Rows"`
		Removed  float64 `json:"Rows Removed by Filter"`
		Loops    float64 `json:"Actual Loops"`
		Plans    []json.RawMessage
	}
	var whole []struct{ Plan json.RawMessage }
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	var count func(json.RawMessage) float64
	count = func(raw json.RawMessage) (sum float64) {
		var n node
		if err := json.Unmarshal(raw, &n); err != nil {
			t.Fatal(err)
		}
		if n.Relation == table {
			sum = (n.Rows + n.Removed) * n.Loops
		}
		for _, child := range n.Plans {
			sum += count(child)
		}
		return sum
	}
	return int(count(whole[0].Plan)), string(text)
}
