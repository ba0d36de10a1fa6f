package config

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// One description makes any amount of work, each with resources of its own.
func TestBindTwice(t *testing.T) {
	config := parse(t, `
		election "a" {}
		election "b" {}
		handler "h" {
			channel  = "c"
			election = "b"
			exec { command = ["/bin/echo", event.payload] }
		}`)
	var logs [2]bytes.Buffer
	var handlers [2]eventlog.Handler
	for i := range logs {
		logger := hclog.New(&hclog.LoggerOptions{Output: &logs[i], Level: hclog.Trace})
		work := config.Bind(Resources{Logger: logger})
		if len(work) != 2 || len(work["a"].Handlers) != 0 || len(work["b"].Handlers) != 1 {
			t.Fatalf("work: %+v", work)
		}
		handlers[i] = work["b"].Handlers[0]
	}
	for i, payload := range []string{"first", "second"} {
		event := eventlog.Event{Handler: "h", Channel: "c", Payload: []byte(payload)}
		if err := handlers[i].Handle(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
	first, second := logs[0].String(), logs[1].String()
	if !strings.Contains(first, "first") || !strings.Contains(second, "second") {
		t.Errorf("logged %q and %q", first, second)
	}
	if h := config.Elections[1].Handlers[0]; h.Handle != nil || h.HandleTx != nil {
		t.Error("Bind has changed the description")
	}
}
