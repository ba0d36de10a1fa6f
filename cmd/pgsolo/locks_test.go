package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A log may block, and with it what waits for a lock that its caller holds: no log call stands under a lock, be it
// in a function of the package that is called there. Functions are told apart by their names, and from methods.
func TestNoLogUnderLock(t *testing.T) {
	packages := map[string][]*ast.FuncDecl{}
	positions := token.NewFileSet()
	for _, path := range files(t, ".go") {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(positions, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Body != nil {
				packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], f)
			}
		}
	}
	for _, functions := range packages {
		logs := logging(functions)
		for _, f := range functions {
			for _, call := range underLock(f) {
				if isLog(call) || logs[callee(call)] {
					t.Errorf("%s: %s logs under a lock", positions.Position(call.Pos()), callee(call))
				}
			}
		}
	}
}

// logging finds the names of the functions that log, themselves or in what they call.
func logging(functions []*ast.FuncDecl) map[string]bool {
	logs := map[string]bool{}
	for changed := true; changed; {
		changed = false
		for _, f := range functions {
			logsHere := slices.ContainsFunc(calls(f.Body), func(c *ast.CallExpr) bool {
				return isLog(c) || logs[callee(c)]
			})
			name := f.Name.Name
			if f.Recv != nil {
				name = "." + name
			}
			if logsHere && !logs[name] {
				logs[name], changed = true, true
			}
		}
	}
	return logs
}

// underLock finds the calls between a Lock and the Unlock that follows it in the text, or the end of the function.
func underLock(f *ast.FuncDecl) (under []*ast.CallExpr) {
	held := false
	for _, call := range calls(f.Body) {
		switch callee(call) {
		case ".Lock", ".RLock":
			held = true
		case ".Unlock", ".RUnlock":
			held = false
		default:
			if held {
				under = append(under, call)
			}
		}
	}
	return under
}

// calls lists the calls in the order of the text, without those that are deferred or made by another goroutine, and
// those of function literals, which may run at any time.
func calls(body *ast.BlockStmt) (all []*ast.CallExpr) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.DeferStmt, *ast.GoStmt, *ast.FuncLit:
			return false
		case *ast.CallExpr:
			all = append(all, n)
		}
		return true
	})
	return all
}

// isLog knows a logger by its name, and what is named Log.
func isLog(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	var of string
	switch x := f.X.(type) {
	case *ast.Ident:
		of = x.Name
	case *ast.SelectorExpr:
		of = x.Sel.Name
	}
	return f.Sel.Name == "Log" || strings.HasSuffix(strings.ToLower(of), "logger") &&
		slices.Contains([]string{"Trace", "Debug", "Info", "Warn", "Error"}, f.Sel.Name)
}

// callee is the name of what is called, with a dot if it is a method, or a function of another package.
func callee(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return "." + f.Sel.Name
	}
	return ""
}
