package election

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// What becomes of each class of errors is as the documentation of the package says.
func TestClassesOfErrors(t *testing.T) {
	for code, want := range map[string]struct{ ends, first, later bool }{
		"42P01": {ends: true, first: true}, "42703": {ends: true, first: true}, "42883": {ends: true, first: true},
		"3F000": {ends: true, first: true}, "3D000": {ends: true, first: true}, "42P10": {ends: true},
		"42501": {first: true},
		"42704": {first: true, later: true}, "28000": {first: true, later: true}, "28P01": {first: true, later: true},
		"57014": {}, "55P03": {}, "40001": {}, "40P01": {}, "53100": {}, "53200": {}, "53300": {}, "25006": {},
		"0A000": {}, "26000": {}, "XX000": {}, "XX001": {}, "22P02": {}, "54000": {}, "58030": {}, "23505": {},
		"P0001": {},
	} {
		err := fmt.Errorf("ping: %w", &pgconn.PgError{Code: code})
		if got := !isAnswer(err); got != want.ends {
			t.Errorf("%s ends a leadership: %t", code, got)
		}
		if got := permanent(err, false); got != want.first {
			t.Errorf("%s ends Run before it stood by: %t", code, got)
		}
		if got := permanent(err, true); got != want.later {
			t.Errorf("%s ends Run when it has stood by: %t", code, got)
		}
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{
		"42P01", "42703", "42883", "42P10", "3F000", "3D000", "42501", "57014", "55P03", "25006", "42704", "28…", "XX…",
	} {
		if !strings.Contains(string(doc), code) {
			t.Errorf("%s is not in the documentation", code)
		}
	}
}
