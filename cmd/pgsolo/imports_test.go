package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	// leaves are what the engines of jobs and their parts stand on.
	leaves = " jobs jobs/internal/group jobs/internal/logread jobs/internal/idset jobs/internal/loop " +
		"jobs/internal/pg jobs/internal/text"

	// library is what the program wires: the packages that an embedder may import.
	library = " election listener jobs jobs/cron jobs/eventlog jobs/schedule"

	// kinds are the kinds of actions, which the configuration has a table of.
	kinds = " jobs/exec jobs/webhook jobs/sql"
)

// mayImport is the house from the bottom to the top: which packages of ours a package may import outside of tests. A
// package that is not in it has no place yet.
var mayImport = []struct{ packages, imports string }{
	// The star: three packages that know neither one another nor the program. What jobs has inside follows.
	{"election", "election/internal/trust election/internal/registry election/internal/settings " +
		"election/internal/migration election/internal/direct election/internal/holder " +
		"election/internal/spread"},
	{"election/internal/registry", "election/internal/holder"},
	{"listener", "listener/internal/settings"},
	{"election/internal/trust election/internal/settings election/internal/migration election/internal/holder " +
		"election/internal/spread " +
		"election/internal/direct listener/internal/settings", ""},

	{"jobs/internal/text jobs/internal/loop jobs/internal/idset jobs/schedule", ""},
	{"jobs/internal/attempt jobs/internal/pg", "jobs/internal/text"},
	{"jobs/internal/group jobs/internal/migration", "jobs/internal/pg"},
	{"jobs", "jobs/internal/attempt jobs/internal/group jobs/internal/migration jobs/internal/pg jobs/internal/text"},
	{"jobs/internal/measure", "jobs"},
	{"jobs/internal/logread jobs/emit jobs/admin" + kinds,
		"jobs jobs/internal/idset jobs/internal/pg jobs/internal/text"},
	{"jobs/internal/wake jobs/cron/internal/rows", leaves},
	{"jobs/eventlog/internal/queue jobs/eventlog/internal/keys jobs/eventlog/internal/gate " +
		"jobs/eventlog/internal/cursor jobs/eventlog/internal/retention jobs/eventlog/internal/declaration " +
		"jobs/eventlog/internal/trial jobs/eventlog/internal/txsession", leaves},
	{"jobs/eventlog/internal/due", "jobs/eventlog/internal/cursor jobs/eventlog/internal/keys"},
	{"jobs/cron/internal/clock", "jobs/cron/internal/rows"},
	{"jobs/cron/internal/inbox", "jobs"},
	{"jobs/cron", leaves + " jobs/schedule jobs/internal/attempt jobs/internal/measure jobs/internal/wake " +
		"jobs/cron/internal/rows jobs/cron/internal/clock jobs/cron/internal/inbox"},
	{"jobs/eventlog/internal/counts", "jobs/eventlog/internal/gate jobs/internal/loop jobs/internal/measure"},
	{"jobs/eventlog", leaves + " jobs/internal/attempt jobs/internal/measure jobs/internal/wake " +
		"jobs/eventlog/internal/queue jobs/eventlog/internal/keys jobs/eventlog/internal/gate " +
		"jobs/eventlog/internal/cursor jobs/eventlog/internal/retention jobs/eventlog/internal/declaration " +
		"jobs/eventlog/internal/trial jobs/eventlog/internal/due jobs/eventlog/internal/txsession " +
		"jobs/eventlog/internal/counts"},

	// The program.
	{"cmd/pgsolo/config/block", "cmd/pgsolo/config/mask"},
	{"cmd/pgsolo/config/mask cmd/pgsolo/config/interpreter cmd/pgsolo/privatepg cmd/pgsolo/fleet " +
		"cmd/pgsolo/command/logwriter cmd/pgsolo/e2e", ""},
	{"cmd/pgsolo/config", library + kinds + " cmd/pgsolo/config/block cmd/pgsolo/config/interpreter"},
	{"cmd/pgsolo/web", library},
	{"cmd/pgsolo/replica", library + " jobs/webhook jobs/sql cmd/pgsolo/config cmd/pgsolo/web"},
	{"cmd/pgsolo/bench cmd/pgsolo/demo",
		library + " cmd/pgsolo/replica cmd/pgsolo/config cmd/pgsolo/web cmd/pgsolo/fleet cmd/pgsolo/privatepg"},
	{"cmd/pgsolo/command", library + " cmd/pgsolo/replica cmd/pgsolo/config cmd/pgsolo/web cmd/pgsolo/fleet " +
		"cmd/pgsolo/privatepg cmd/pgsolo/bench cmd/pgsolo/demo cmd/pgsolo/command/logwriter"},
	{"cmd/pgsolo", "cmd/pgsolo/command"},

	// What tests alone import.
	{"cmd/pgsolo/pgtest", "cmd/pgsolo/privatepg"},
	{"cmd/pgsolo/jobstest", "jobs listener cmd/pgsolo/pgtest"},
}

// importHCL are the packages that may import HCL: only the configuration knows it.
var importHCL = []string{"cmd/pgsolo/config", "cmd/pgsolo/config/block", "cmd/pgsolo/config/mask"}

const module = "github.com/pgsolo/pgsolo/"

func TestImportsFollowTheHouse(t *testing.T) {
	allowed := map[string][]string{}
	for _, row := range mayImport {
		for _, p := range strings.Fields(row.packages) {
			allowed[p] = strings.Fields(row.imports)
		}
	}
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "../../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		found[name] = true
		may, known := allowed[name]
		if !known {
			t.Errorf("%s has no place in the table of imports", name)
		}
		for _, imported := range p.Imports {
			ours, is := strings.CutPrefix(imported, module)
			if is && known && !slices.Contains(may, ours) {
				t.Errorf("%s imports %s", name, ours)
			}
			if strings.HasPrefix(imported, "github.com/hashicorp/hcl/") && !slices.Contains(importHCL, name) {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
	for name := range allowed {
		if !found[name] {
			t.Errorf("the table of imports has %s, which is not there", name)
		}
	}
}
