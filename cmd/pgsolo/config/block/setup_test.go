package block

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

func testEnv(name string) (string, bool) {
	value, ok := map[string]string{"SECRET": "hunter2", "COUNT": "7"}[name]
	return value, ok
}

// settings are what the grammar of the tests has places for.
type settings struct {
	Level    string
	Listen   string
	Wait     time.Duration
	Count    int
	Fraction float64
	On       bool
	Words    []string
	Pairs    map[string]string
	Values   []any

	Target string // of the action

	action *hclsyntax.Block
}

func (s *settings) actionArguments() []Argument {
	return []Argument{{Name: "target", Required: true, Example: `target = "x"`, Value: String(&s.Target, NotEmpty)}}
}

// decode decodes a file of one block "log", which may be named, and of blocks "job", which have to be.
func decode(filename, src string) (*settings, *Language, error) {
	language := NewLanguage(filename, testEnv, map[string]string{"event": "in the action"},
		"Variables exist only in actions.")
	d, names, to := NewDecoder(language), Names{}, &settings{}
	log := func(*hclsyntax.Block) Body {
		return Body{Arguments: []Argument{
			{Name: "level", Required: true, Example: `level = "info"`, Value: Word(&to.Level, "debug", "info", "warn")},
			{Name: "listen", Value: String(&to.Listen, NotEmpty)},
			{Name: "wait", Value: Duration(&to.Wait, Positive)},
			{Name: "count", Value: Count(&to.Count)},
			{Name: "fraction", Value: Fraction(&to.Fraction)},
			{Name: "on", Value: Boolean(&to.On)},
			{Name: "words", Value: Strings(&to.Words, func([]string) string { return "" })},
			{Name: "pairs", Value: StringMap(&to.Pairs, func(string) string { return "" })},
			{Name: "values", Value: List(&to.Values)},
		}}
	}
	job := func(found *hclsyntax.Block) Body {
		action := Block{Kind: "action", Single: true, Required: true, Example: "action { }",
			Open: func(found *hclsyntax.Block) Body {
				unknown := Scope{Name: "event",
					Value: cty.ObjectVal(map[string]cty.Value{"key": cty.UnknownVal(cty.String)})}
				return Body{Arguments: to.actionArguments(), In: d.In(unknown), Finish: func() { to.action = found }}
			}}
		return Body{Blocks: []Block{action}, Finish: func() { names.Add(d, found) }}
	}
	err := d.Decode(filename, []byte(src), "the file", Body{Blocks: []Block{
		{Kind: "log", Single: true, Required: true, Example: "log { }", Open: log},
		{Kind: "job", Named: true, Open: job},
	}})
	return to, language, err
}

// refused gives the mistakes of a file that has some.
func refused(t *testing.T, src string) *Error {
	t.Helper()
	_, _, err := decode("x.hcl", src)
	wrong, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%s: error %v is not an *Error", src, err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%s: a secret is shown: %v", src, err)
	}
	return wrong
}
