package config

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// The variables of expressions.
const (
	eventVariable = "event"
	runVariable   = "run"
)

// The fields of the variables event and run are listed twice: as what is known of them when the file is loaded, and as
// they are. A test holds the two together.

func unknownEvent() block.Scope {
	return block.Scope{Name: eventVariable, Value: cty.ObjectVal(map[string]cty.Value{
		"id":              cty.UnknownVal(cty.Number),
		"topic":           cty.UnknownVal(cty.String),
		"channel":         cty.UnknownVal(cty.String),
		"key":             cty.UnknownVal(cty.String),
		"payload":         cty.DynamicVal,
		"headers":         cty.UnknownVal(cty.Map(cty.String)),
		"created_at":      cty.UnknownVal(cty.String),
		"attempt":         cty.UnknownVal(cty.Number),
		"term":            cty.UnknownVal(cty.Number),
		"idempotency_key": cty.UnknownVal(cty.String),
	})}
}

func eventFields() map[string]func(eventlog.Event) cty.Value {
	type event = eventlog.Event
	return map[string]func(event) cty.Value{
		"id":              func(e event) cty.Value { return cty.NumberIntVal(e.ID) },
		"topic":           func(e event) cty.Value { return block.StringValue(e.Topic) },
		"channel":         func(e event) cty.Value { return block.StringValue(e.Channel) },
		"key":             func(e event) cty.Value { return block.StringValue(e.Key) },
		"payload":         func(e event) cty.Value { return payloadValue(e.Payload) },
		"headers":         func(e event) cty.Value { return headersValue(e.Headers) },
		"created_at":      func(e event) cty.Value { return cty.StringVal(e.CreatedAt.UTC().Format(time.RFC3339Nano)) },
		"attempt":         func(e event) cty.Value { return cty.NumberIntVal(int64(e.Attempt)) },
		"term":            func(e event) cty.Value { return cty.NumberIntVal(e.Term) },
		"idempotency_key": func(e event) cty.Value { return block.StringValue(e.IdempotencyKey()) },
	}
}

func eventScope(event eventlog.Event) block.Scope {
	values := map[string]cty.Value{}
	for name, field := range eventFields() {
		values[name] = field(event)
	}
	raw := map[string]json.RawMessage{"headers": headersJSON(event.Headers)}
	if json.Valid(event.Payload) {
		raw["payload"] = event.Payload
	}
	return block.Scope{Name: eventVariable, Value: cty.ObjectVal(values), Raw: raw}
}

// headersJSON has the names as they are: names that differ only in their normal form are one in a value.
func headersJSON(headers map[string]string) json.RawMessage {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if len(headers) == 0 || encoder.Encode(headers) != nil {
		return json.RawMessage("{}")
	}
	return bytes.TrimSpace(text.Bytes())
}

func unknownTick() block.Scope {
	return block.Scope{Name: runVariable, Value: cty.ObjectVal(map[string]cty.Value{
		"job":             cty.UnknownVal(cty.String),
		"scheduled_at":    cty.UnknownVal(cty.String),
		"catch_up":        cty.UnknownVal(cty.Bool),
		"manual":          cty.UnknownVal(cty.Bool),
		"attempt":         cty.UnknownVal(cty.Number),
		"term":            cty.UnknownVal(cty.Number),
		"idempotency_key": cty.UnknownVal(cty.String),
	})}
}

func tickScope(tick cron.Tick) block.Scope {
	return block.Scope{Name: runVariable, Value: cty.ObjectVal(map[string]cty.Value{
		"job":             block.StringValue(tick.Job),
		"scheduled_at":    cty.StringVal(tick.ScheduledAt.Format(time.RFC3339Nano)),
		"catch_up":        cty.BoolVal(tick.CatchUp),
		"manual":          cty.BoolVal(tick.Manual),
		"attempt":         cty.NumberIntVal(int64(tick.Attempt)),
		"term":            cty.NumberIntVal(tick.Term),
		"idempotency_key": block.StringValue(tick.IdempotencyKey()),
	})}
}

// What producers may have expressions convert. Each value takes a hundred bytes and more, and a number of many digits
// takes the longer the more it has, or its exponent says.
const (
	maxValues = 100_000
	maxDigits = 1000
)

// payloadValue is the payload decoded, if it is JSON, and else the string that it is. Package json bounds the depth of
// the nesting. Package cty has a decoder too, which refuses an object with a name that is not in Unicode NFC. A payload
// of more than maxValues values is unknown.
func payloadValue(payload []byte) cty.Value {
	if countValues(payload) > maxValues && json.Valid(payload) {
		return cty.DynamicVal
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber() // whatever its size and precision
	var decoded any
	if !json.Valid(payload) || decoder.Decode(&decoded) != nil {
		return block.StringValue(string(payload))
	}
	return valueOf(decoded)
}

// countValues is how many values JSON has, or one more for each empty list and object.
func countValues(payload []byte) int {
	n, inString := 1, false
	for i := 0; i < len(payload); i++ {
		switch c := payload[i]; {
		case c == '"':
			inString = !inString
		case inString && c == '\\':
			i++
		case !inString && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}

// hasFewDigits says whether a number of JSON, written out, has no more than maxDigits.
func hasFewDigits(number string) bool {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(number), "e")
	if exponent == "" {
		exponent = "0"
	}
	e, err := strconv.Atoi(exponent)
	return err == nil && len(mantissa) <= maxDigits && e >= -maxDigits && e <= maxDigits
}

// valueOf converts what package json makes.
func valueOf(decoded any) cty.Value {
	switch decoded := decoded.(type) {
	case bool:
		return cty.BoolVal(decoded)
	case string:
		return block.StringValue(decoded)
	case json.Number:
		if hasFewDigits(string(decoded)) {
			if number, err := cty.ParseNumberVal(string(decoded)); err == nil {
				return number
			}
		}
		return cty.StringVal(string(decoded)) // beyond any number
	case []any:
		values := make([]cty.Value, len(decoded))
		for i, element := range decoded {
			values[i] = valueOf(element)
		}
		return cty.TupleVal(values)
	case map[string]any:
		values := make(map[string]cty.Value, len(decoded))
		for _, name := range block.InOrder(decoded) {
			values[block.Normal(name)] = valueOf(decoded[name])
		}
		return cty.ObjectVal(values)
	default:
		return cty.NullVal(cty.DynamicPseudoType)
	}
}

func headersValue(headers map[string]string) cty.Value {
	values := make(map[string]cty.Value, len(headers))
	for _, name := range block.InOrder(headers) {
		values[block.Normal(name)] = block.StringValue(headers[name])
	}
	if len(values) == 0 {
		return cty.MapValEmpty(cty.String)
	}
	return cty.MapVal(values)
}
