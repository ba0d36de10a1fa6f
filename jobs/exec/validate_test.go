//go:build unix

package exec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func notExecutable(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestValidate(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "job"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	program := []string{"true"}
	for name, test := range map[string]struct {
		command Command
		want    string // part of the error; empty for a valid command
	}{
		"smallest": {command: Command{Args: program}},
		"everything": {
			command: Command{Args: program, Env: map[string]string{"A": "b=c"}, Dir: dir, Grace: time.Second},
		},
		"relative to Dir":     {command: Command{Args: []string{"./job"}, Dir: dir}},
		"not relative to Dir": {command: Command{Args: []string{"./job"}}, want: "Args[0]"},
		"no arguments":        {command: Command{}, want: "Args is empty"},
		"empty program":       {command: Command{Args: []string{""}}, want: "Args is empty"},
		"program not found": {
			command: Command{Args: []string{"no-such-program"}}, want: `Args[0]: exec: "no-such-program"`,
		},
		"program not runnable": {command: Command{Args: []string{notExecutable(t)}}, want: "permission denied"},
		"NUL in argument":      {command: Command{Args: []string{"true", "a\x00b"}}, want: "Args[1]"},
		"empty name in Env": {
			command: Command{Args: program, Env: map[string]string{"": "x"}}, want: `Env has the name ""`,
		},
		"equals in name in Env": {
			command: Command{Args: program, Env: map[string]string{"A=B": "x"}}, want: `Env has the name "A=B"`,
		},
		"NUL in Env":     {command: Command{Args: program, Env: map[string]string{"A": "\x00"}}, want: `Env["A"]`},
		"no such Dir":    {command: Command{Args: program, Dir: filepath.Join(dir, "none")}, want: "find Dir"},
		"Dir is a file":  {command: Command{Args: program, Dir: filepath.Join(dir, "job")}, want: "not a directory"},
		"negative Grace": {command: Command{Args: program, Grace: -1}, want: "Grace"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.command.Validate()
			switch {
			case test.want == "" && err != nil:
				t.Errorf("Validate = %q, want none", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("Validate = %v, want %q", err, test.want)
			}
		})
	}
}
