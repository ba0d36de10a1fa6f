package config

import (
	"strings"
	"testing"
)

// A fingerprint is that of what the leader runs, however that is written.
func TestFingerprint(t *testing.T) {
	const text = `
		postgres { url = env("DATABASE_URL") }
		topic "t" {}
		handler "a" {
			topic = "t"
			exec { command = ["/bin/true"] }
		}
		handler "b" {
			topic = "t"
			exec { command = ["/bin/true"] }
		}
		cron "c" {
			schedule = "@daily"
			exec { command = ["/bin/true"] }
		}`
	fingerprint := func(text string) string {
		t.Helper()
		c, err := Parse("config.hcl", []byte(text), testEnv)
		if err != nil {
			t.Fatal(err)
		}
		return c.Elections[0].Fingerprint
	}
	before := fingerprint(text)
	i, j, k := strings.Index(text, `handler "a"`), strings.Index(text, `handler "b"`), strings.Index(text, "cron")
	for name, same := range map[string]string{
		"comments and spaces": strings.ReplaceAll(text, `"t" {}`, "\"t\" {\n # of orders\n }\n"),
		"another order":       text[:i] + text[j:k] + text[i:j] + text[k:],
		"what is no work":     text + "\nlog { level = \"debug\" }\nelection \"main\" { lease = \"9s\" }",
	} {
		if got := fingerprint(same); got != before {
			t.Errorf("%s make a difference", name)
		}
	}
	for name, other := range map[string]string{
		"a command":   strings.Replace(text, `["/bin/true"]`, `["/bin/false"]`, 1),
		"a schedule":  strings.Replace(text, "@daily", "@hourly", 1),
		"a size":      strings.Replace(text, `"t" {}`, `"t" { max_payload = "17MB" }`, 1),
		"a retention": strings.Replace(text, `"t" {}`, `"t" { retention = "1h" }`, 1),
		"a handler":   text[:i] + text[j:],
		"its name":    strings.Replace(text, `"b"`, `"d"`, 1),
	} {
		if got := fingerprint(other); got == before || len(got) != 16 {
			t.Errorf("%s makes no difference: %s", name, got)
		}
	}
}
