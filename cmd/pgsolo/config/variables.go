package config

import (
	"encoding/json"
	"time"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/pgsolo/pgsolo/jobs"
)

// The fields of the variables event and run are listed twice: as what is known of them when the file is loaded, and as they
// are. A test holds the two together.

func unknownEvent() scope {
	return scope{"event", cty.ObjectVal(map[string]cty.Value{
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

func eventScope(event jobs.Event) scope {
	return scope{"event", cty.ObjectVal(map[string]cty.Value{
		"id":              cty.NumberIntVal(event.ID),
		"topic":           cty.StringVal(event.Topic),
		"channel":         cty.StringVal(event.Channel),
		"key":             cty.StringVal(event.Key),
		"payload":         payloadValue(event.Payload),
		"headers":         headersValue(event.Headers),
		"created_at":      cty.StringVal(event.CreatedAt.UTC().Format(time.RFC3339Nano)),
		"attempt":         cty.NumberIntVal(int64(event.Attempt)),
		"term":            cty.NumberIntVal(event.Term),
		"idempotency_key": cty.StringVal(event.IdempotencyKey()),
	})}
}

func unknownTick() scope {
	return scope{"run", cty.ObjectVal(map[string]cty.Value{
		"job":             cty.UnknownVal(cty.String),
		"scheduled_at":    cty.UnknownVal(cty.String),
		"catch_up":        cty.UnknownVal(cty.Bool),
		"attempt":         cty.UnknownVal(cty.Number),
		"term":            cty.UnknownVal(cty.Number),
		"idempotency_key": cty.UnknownVal(cty.String),
	})}
}

func tickScope(tick jobs.Tick) scope {
	return scope{"run", cty.ObjectVal(map[string]cty.Value{
		"job":             cty.StringVal(tick.Job),
		"scheduled_at":    cty.StringVal(tick.ScheduledAt.Format(time.RFC3339)),
		"catch_up":        cty.BoolVal(tick.CatchUp),
		"attempt":         cty.NumberIntVal(int64(tick.Attempt)),
		"term":            cty.NumberIntVal(tick.Term),
		"idempotency_key": cty.StringVal(tick.IdempotencyKey()),
	})}
}

// payloadValue is the payload decoded, if it is JSON, and else the string that it is. Valid also bounds the depth of the
// nesting, which the decoder of cty follows by recursion.
func payloadValue(payload []byte) cty.Value {
	if !json.Valid(payload) {
		return cty.StringVal(string(payload))
	}
	t, err := ctyjson.ImpliedType(payload)
	if err != nil {
		return cty.StringVal(string(payload))
	}
	value, err := ctyjson.Unmarshal(payload, t)
	if err != nil {
		return cty.StringVal(string(payload))
	}
	return value
}

func headersValue(headers map[string]string) cty.Value {
	values := make(map[string]cty.Value, len(headers))
	for name, value := range headers {
		values[name] = cty.StringVal(value)
	}
	if len(values) == 0 {
		return cty.MapValEmpty(cty.String)
	}
	return cty.MapVal(values)
}
