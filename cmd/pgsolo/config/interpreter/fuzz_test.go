package interpreter

import (
	"strings"
	"testing"
)

// Whatever a command is, what is found is an element of it, and with nothing of others in it there is nothing to find.
func FuzzCheck(f *testing.F) {
	for _, line := range []string{"", "sh -c K", "env -S", "xargs -I", "xargs -i", "timeout 5", "su - K", "sh -o",
		"node -e",
		"python3 -m", "psql -v K", "- -- --=", "flock K -c", "sudo -u", "jq --arg", "runuser -u", "sqlite3 -cmd",
		"+ -K"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		command := args(line)
		if found := Check(command, true); found != nil && (found.Index < 0 || found.Index > len(command)) {
			t.Errorf("%q: %+v", line, found)
		}
		if found := Check(args(strings.ReplaceAll(line, "K", "")), false); found != nil {
			t.Errorf("%q: %+v", line, found)
		}
	})
}
