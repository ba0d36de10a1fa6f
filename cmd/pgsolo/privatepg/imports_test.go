package privatepg

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// What the program runs brings nothing along that only tests need. embedded-postgres does, so that testing is forbidden
// here, and goleak below as well.
func TestProductionImportsNothingForTests(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=Imports,Deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	var found struct{ Imports, Deps []string }
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	if len(found.Imports) == 0 || slices.Contains(found.Imports, "testing") {
		t.Errorf("privatepg imports %q", found.Imports)
	}
	for _, path := range found.Deps {
		if strings.HasPrefix(path, "go.uber.org/goleak") {
			t.Errorf("privatepg needs %s", path)
		}
	}
}
