package eventlog

import (
	"context"
	"strings"
	"testing"
)

func TestJSON(t *testing.T) {
	type order struct{ Amount int }
	var got order
	handle := JSON(func(_ context.Context, _ Event, payload order) error {
		got = payload
		return nil
	})
	if err := handle(t.Context(), Event{Payload: []byte(`{"amount": 42}`)}); err != nil || got.Amount != 42 {
		t.Errorf("got %+v, %v", got, err)
	}
	for payload, position := range map[string]string{`{"amount": }`: "at byte 12", `{"amount": "many"}`: "at byte 17"} {
		err := handle(t.Context(), Event{ID: 7, Handler: "h", Payload: []byte(payload)})
		if err == nil || !strings.Contains(err.Error(), `event 7 for handler "h"`) ||
			!strings.Contains(err.Error(), position) {
			t.Errorf("%s: error %v does not name the event, the handler and %s", payload, err, position)
		}
	}
}
