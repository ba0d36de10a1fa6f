package sql

import (
	"encoding/json"
	"testing"
)

// JSON that is given as text is the text of its parameter.
func TestRawMessageIsText(t *testing.T) {
	const text = `{"b": "<&>",  "a": 1.10}`
	if got, err := textOf(json.RawMessage(text)); err != nil || string(got) != text {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := textOf(json.RawMessage(nil)); err != nil || string(got) != "null" {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := textOf(json.RawMessage(`{`)); err == nil {
		t.Errorf("%s", got)
	}
}
