package command

import (
	"os"
	"regexp"
	"testing"
)

// Every verb that the README shows is one of the program's.
func TestREADMENamesVerbs(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^    pgsolo ([a-z]+)`).FindAllStringSubmatch(string(readme), -1)
	if len(shown) == 0 {
		t.Error("the README shows no verb")
	}
	for _, match := range shown {
		if found, _, err := newRoot(Streams{}).Find(match[1:]); err != nil || found.Name() != match[1] {
			t.Errorf("the README has `pgsolo %s`, the program does not", match[1])
		}
	}
}
