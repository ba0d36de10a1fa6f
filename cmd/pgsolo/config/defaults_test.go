package config

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// What the reference calls a default can be left out.
func TestReferenceWithoutDefaults(t *testing.T) {
	src, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	stated := regexp.MustCompile(`(?m)^ +\w+ += .* # default($|[;,].*$)`)
	if count := len(stated.FindAll(src, -1)); count < 25 {
		t.Fatalf("the reference states only %d defaults", count)
	}
	full, err := Parse(reference, src, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	least, err := Parse(reference, stated.ReplaceAll(src, nil), testEnv)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full, least, compareOptions()...); diff != "" {
		t.Errorf("defaults (-reference +code):\n%s", diff)
	}
}

// What the comment of a field calls its default is what it gets.
func TestCommentsStateDefaults(t *testing.T) {
	handler := eventlog.Handler{
		Topic: "t", Rate: jobs.Rate{Events: 1}, Breaker: jobs.Breaker{Failures: 1},
		HandleTx: func(context.Context, pgx.Tx, eventlog.Event) error { return nil },
	}.WithDefaults()
	job := cron.Job{}.WithDefaults()
	program := defaults()
	count := 0
	for _, filled := range []any{
		handler, handler.Rate, handler.Retry, handler.Breaker, job, job.History,
		*defaultElection(election.DefaultName), program.Postgres, program.HTTP, program.Log,
		election.Options{
			Schema: election.DefaultSchema, Name: election.DefaultName,
			Lease: election.DefaultLease, PollInterval: election.DefaultPollInterval,
		},
	} {
		fields, constants := commentsOf(t, reflect.TypeOf(filled))
		for i := range reflect.TypeOf(filled).NumField() {
			field, value := reflect.TypeOf(filled).Field(i), reflect.ValueOf(filled).Field(i)
			if !field.IsExported() || value.Kind() == reflect.Struct || value.Kind() == reflect.Func {
				continue
			}
			match := regexp.MustCompile(`[Dd]efault:? ("[^"]*"|\d[\d.]*(?: ` +
				`(?:ms|s|min|h|days)\b)?|\w+)`).FindStringSubmatch(fields[field.Name])
			if match == nil || value.IsZero() && !strings.ContainsAny(match[1], `"0123456789`) {
				continue // it has none, or one such as "none"
			}
			count++
			if !isValue(strings.TrimRight(match[1], "."), value, constants) {
				t.Errorf("%T.%s has the default %v, its comment says %s", filled, field.Name, value, match[1])
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d comments state a default", count)
	}
}

// isValue says whether a comment stands for a value.
func isValue(stated string, value reflect.Value, constants map[string]string) bool {
	if quoted, err := strconv.Unquote(stated); err == nil {
		return value.Kind() == reflect.String && value.String() == quoted
	}
	switch of := value.Interface().(type) {
	case time.Duration:
		number, unit, _ := strings.Cut(stated, " ")
		n, err := strconv.Atoi(number)
		units := map[string]time.Duration{
			"ms": time.Millisecond, "s": time.Second, "min": time.Minute, "h": time.Hour, "days": 24 * time.Hour,
		}
		return err == nil && of == time.Duration(n)*units[unit]
	case *time.Location:
		return of.String() == stated
	}
	switch value.Kind() {
	case reflect.String:
		return constants[stated] == value.String()
	case reflect.Int:
		return strconv.FormatInt(value.Int(), 10) == stated
	case reflect.Float64:
		return strconv.FormatFloat(value.Float(), 'g', -1, 64) == stated
	case reflect.Bool:
		return strconv.FormatBool(value.Bool()) == stated
	}
	return false
}

// commentsOf reads the comments of a struct's fields, and the string constants of its package.
func commentsOf(t *testing.T, of reflect.Type) (fields, constants map[string]string) {
	t.Helper()
	folder := filepath.Join("../../..", strings.TrimPrefix(of.PkgPath(), "github.com/pgsolo/pgsolo"))
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	fields, constants = map[string]string{}, map[string]string{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.TypeSpec:
				if inner, ok := node.Type.(*ast.StructType); ok && node.Name.Name == of.Name() {
					for _, field := range inner.Fields.List {
						for _, name := range field.Names {
							fields[name.Name] = strings.ReplaceAll(field.Doc.Text()+field.Comment.Text(), "\n", " ")
						}
					}
				}
			case *ast.ValueSpec:
				for i, value := range node.Values {
					if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == token.STRING {
						constants[node.Names[i].Name], _ = strconv.Unquote(literal.Value)
					}
				}
			}
			return true
		})
	}
	if len(fields) == 0 {
		t.Fatalf("%s has no fields in %s", of, folder)
	}
	return fields, constants
}
