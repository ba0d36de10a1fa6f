package main

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// What two packages keep twice, because neither may import the other, is the same text.
func TestCopiesAreKeptAlike(t *testing.T) {
	for _, pair := range [][2]string{
		{"../../listener/sharing.go", "../../election/internal/direct/sharing.go"},
		{"../../jobs/internal/migration/migrate.go", "../../election/internal/migration/migrate.go"},
		{"../../jobs/internal/migration/wait.go", "../../election/internal/migration/wait.go"},
		{"../../jobs/internal/migration/privileges.go", "../../election/internal/migration/privileges.go"},
		{"../../jobs/internal/migration/locks.go", "../../election/internal/migration/locks.go"},
		{"../../jobs/internal/migration/autovacuum.go", "../../election/internal/migration/autovacuum.go"},
		{"../../jobs/internal/migration/owner.go", "../../election/internal/migration/owner.go"},
		{"../../jobs/internal/migration/searchpath.go", "../../election/internal/migration/searchpath.go"},
		{"../../jobs/internal/migration/schemaname.go", "../../election/internal/migration/schemaname.go"},
		{"../../jobs/internal/pg/grants.go", "../../election/internal/migration/grants.go"},
		{"../../jobs/internal/pg/sessionsettings.go", "../../election/internal/settings/sessionsettings.go"},
		{"../../jobs/internal/pg/sessionsettings.go", "../../listener/internal/settings/sessionsettings.go"},
	} {
		if body(read(t, pair[0])) != body(read(t, pair[1])) {
			t.Errorf("%s and %s differ", pair[0], pair[1])
		}
	}
}

// body is a file without its package clause.
func body(text string) string {
	before, after, _ := strings.Cut(text, "\npackage ")
	_, rest, _ := strings.Cut(after, "\n")
	return before + rest
}

// What makes a package, a type or a line too large to read. A tab counts four columns.
const (
	maxPackageLines = 2600
	maxFields       = 22
	maxMethods      = 25
	maxColumns      = 120
)

func TestPackagesAndTypesAreSmall(t *testing.T) {
	lines, fields, methods := map[string]int{}, map[string]int{}, map[string]int{}
	for _, path := range files(t, ".go") {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		source := read(t, path)
		folder := filepath.Dir(path)
		if !strings.HasPrefix(folder, "../../cmd/") || strings.HasPrefix(folder, "../../cmd/pgsolo/config") {
			lines[folder] += strings.Count(source, "\n")
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				if s, ok := n.Type.(*ast.StructType); ok {
					fields[folder+"."+n.Name.Name] = s.Fields.NumFields()
				}
			case *ast.FuncDecl:
				if n.Recv != nil {
					methods[folder+"."+receiver(n.Recv.List[0].Type)]++
				}
			}
			return true
		})
	}
	for _, limit := range []struct {
		counts map[string]int
		most   int
		what   string
	}{
		{lines, maxPackageLines, "lines"}, {fields, maxFields, "fields"}, {methods, maxMethods, "methods"},
	} {
		for name, n := range limit.counts {
			if n > limit.most {
				t.Errorf("%s has %d %s, more than %d", name, n, limit.what, limit.most)
			}
		}
	}
}

func receiver(of ast.Expr) string {
	switch of := of.(type) {
	case *ast.StarExpr:
		return receiver(of.X)
	case *ast.IndexExpr:
		return receiver(of.X)
	case *ast.Ident:
		return of.Name
	}
	return ""
}

func TestLinesAreShort(t *testing.T) {
	for _, ending := range []string{".go", ".md", ".hcl"} {
		for _, path := range files(t, ending) {
			scanner := bufio.NewScanner(strings.NewReader(read(t, path)))
			for n := 1; scanner.Scan(); n++ {
				line := strings.ReplaceAll(scanner.Text(), "\t", "    ")
				if columns := utf8.RuneCountInString(line); columns > maxColumns {
					t.Errorf("%s:%d has %d columns", path, n, columns)
				}
			}
			if err := scanner.Err(); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// files lists those of the repository with an ending.
func files(t *testing.T, ending string) (all []string) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && len(entry.Name()) > 2:
			return filepath.SkipDir
		case !entry.IsDir() && strings.HasSuffix(path, ending):
			all = append(all, path)
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("no files end in %s: %v", ending, err)
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
