package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
)

// A number that nobody could write out is the text that it is, at once.
func TestNumbersAreBounded(t *testing.T) {
	zeros := strings.Repeat("0", 2*maxDigits)
	for _, number := range []string{"1e99999999", "-1E+99999999", "1e-99999999", "1e99999999999999999999", "1" + zeros,
		"0." + zeros + "1"} {
		if got := payloadValue([]byte(number)); got.Type() != cty.String || got.AsString() != number {
			t.Errorf("%.20s became %s", number, got.Type().FriendlyName())
		}
	}
	for _, number := range []string{"1e400", "-1.5e-400", "12345678901234567890.5"} {
		if got := payloadValue([]byte(number)); got.Type() != cty.Number {
			t.Errorf("%s became %s", number, got.Type().FriendlyName())
		}
	}
}

// A payload of very many values is refused by what uses it, and by nothing else.
func TestValuesAreBounded(t *testing.T) {
	event := anEvent()
	event.Payload = []byte(`{"few": 1, "many": [1` + strings.Repeat(",1", maxValues) + `], "text": "` +
		strings.Repeat(",", 2*maxValues) + `"}`)
	for source, refused := range map[string]bool{
		`[event.payload]`: true, `[event.payload.few]`: true, `[event.id]`: false, `["a${event.payload.few}"]`: true,
		`[jsonencode(event.payload)]`: true,
	} {
		var got []any
		err := evaluate(t, source, event, testEnv, block.List(&got))
		if errors.Is(err, block.ErrTooLarge) != refused || !refused && err != nil {
			t.Errorf("%s: %v", source, err)
		}
	}
	for condition, refused := range map[string]bool{
		`event.payload.few == 1`: false, `event.payload.many == null`: true, `event.id == 42`: false,
	} {
		if _, err := when(t, fromOrders, condition)(event); (err != nil) != refused {
			t.Errorf("%s: %v", condition, err)
		}
	}
}
