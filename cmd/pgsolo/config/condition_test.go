package config

import (
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// when gives the condition of a handler.
func when(t testing.TB, source, condition string) func(eventlog.Event) (bool, error) {
	t.Helper()
	config, err := Parse("config.hcl",
		[]byte("postgres { url = env(\"DATABASE_URL\") }\ntopic \"orders\" {}\nhandler \"h\" {\n"+source+
			"\nwhen = "+condition+"\nexec { command = [\"/bin/ls\"] }\n}"), testEnv)
	if err != nil {
		t.Fatal(err)
	}
	return workOf(config, Resources{}).Handlers[0].When
}

const fromOrders = `topic = "orders"`

func TestCondition(t *testing.T) {
	event := anEvent()
	event.Payload = []byte(`{"amount": 12.50, "tags": ["a", "b"], "note": null, "paid": true, "by": {"name": "x"}, ` +
		`"a-b": 1, "größe": 3, "7": "seven", "e\u0301tat": 4}`)
	for condition, want := range map[string]bool{
		`event.payload.amount > 12`:   true,
		`event.payload.amount > 12.5`: false,
		`event.payload.paid`:          true,
		`!event.payload.paid`:         false,
		`event.payload.by.name == "x" && event.payload.tags[1] == "b"`:            true,
		`event.payload["a-b"] == 1 && event.payload["größe"] == 3`:                true,
		`event.payload[event.headers.tenant == "acme" ? "paid" : "note"]`:         true,
		`event.payload["état"] == 4`:                                              true,
		`event.payload[7] == "seven"`:                                             true,
		`event.payload.note == null`:                                              true,
		`try(event.payload.absent, "none") == "none"`:                             true,
		`try(event.headers.absent, "") == ""`:                                     true,
		`event.headers.tenant == "acme"`:                                          true,
		`upper(event.key) == "K-1" && event.id == 42 && event.topic == "orders"`:  true,
		`event.created_at == "2026-01-02T03:04:05Z"`:                              true,
		`jsonencode(event.payload.tags) == "[\"a\",\"b\"]"`:                       true,
		`[for name, value in event.payload : name if name == "paid"] == ["paid"]`: true,
		`join(",", [for tag in event.payload.tags : tag]) == "a,b"`:               true,
		`event.key != env("SECRET")`:                                              true,
		`lower(jsonencode(event)) == "x"`:                                         false,
	} {
		got, err := when(t, fromOrders, condition)(event)
		if err != nil || got != want {
			t.Errorf("%s: %t, %v", condition, got, err)
		}
	}
}

func TestConditionOfChannel(t *testing.T) {
	holds := when(t, `channel = "c"`, `event.channel == "c" && event.payload == "go"`)
	for payload, want := range map[string]bool{"go": true, "stop": false, "": false, "7": false, `"go"`: true} {
		if got, err := holds(eventlog.Event{Channel: "c", Payload: []byte(payload)}); err != nil || got != want {
			t.Errorf("%q: %t, %v", payload, got, err)
		}
	}
}

// Every error is a failed attempt, so each has to say where it comes from, and nothing of what the event holds.
func TestConditionErrors(t *testing.T) {
	for _, test := range []struct{ condition, payload, want string }{
		{`event.payload.status == "paid"`, `{}`,
			`Unsupported attribute: This object does not have an attribute named "status".`},
		{`event.payload.status == "paid"`, `[]`, `Unsupported attribute`},
		{`event.payload.status == "paid"`, `null`, `Attempt to get attribute from null value`},
		{`event.payload.status == "paid"`, `sesame`, `Unsupported attribute`},
		{`event.payload.status.code == 1`, `{"status": "sesame"}`, `Unsupported attribute`},
		{`event.headers.tenant == "acme"`, `{}`, `Missing map element`},
		{`event.payload.paid`, `{"paid": null}`, `Missing value: The condition is null.`},
		{`event.payload.paid`, `{"paid": "sesame"}`, `Wrong type: A condition is true or false, not a string.`},
		{`event.payload.paid`, `{"paid": "true"}`, `Wrong type: A condition is true or false, not a string.`},
		{`event.payload.amount > 1`, `{"amount": "sesame"}`,
			`Invalid operand: Unsuitable value for left operand: a number is required.`},
		{`try(event.payload.amount) > 1`, `{}`, `Error in function call`},
		{`event.payload.amount > env("ABSENT", "1") + 0`, `{"amount": "sesame"}`, `Invalid operand`},
	} {
		_, err := when(t, fromOrders, test.condition)(eventlog.Event{Topic: "orders", Payload: []byte(test.payload)})
		if err == nil || !strings.HasPrefix(err.Error(), "evaluate when at config.hcl:5: "+test.want) {
			t.Errorf("%s of %s: error = %v\nwant %s", test.condition, test.payload, err, test.want)
		}
		if err != nil && (strings.Contains(err.Error(), "sesame") || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("error %v repeats a value", err)
		}
	}
}

// A condition must not cost more for what it does not ask for: payloads may be large.
func TestConditionReadsOnlyWhatItNeeds(t *testing.T) {
	small, large := anEvent(), anEvent()
	small.Payload = []byte(`{"status": "paid"}`)
	large.Payload = []byte(`{"items": [` + strings.Repeat(`{"name": "x", "price": 1.5},`, 2000) +
		`0], "status": "paid"}`)
	holds := when(t, fromOrders, `event.payload.status == "paid"`)
	allocations := func(event eventlog.Event) float64 {
		return testing.AllocsPerRun(10, func() {
			if got, err := holds(event); err != nil || !got {
				t.Fatal(got, err)
			}
		})
	}
	if few, many := allocations(small), allocations(large); many > few+20 {
		t.Errorf("%.0f allocations for a large payload, %.0f for a small one", many, few)
	}
}

func BenchmarkCondition(b *testing.B) {
	for name, payload := range map[string]string{
		"100B": `{"id": 123456, "status": "paid", "amount": 12.50, "customer": {"id": 7, "name": "somebody"}, "x": ` +
			`[1, 2]}`,
		"20kB": `{"items": [` + strings.Repeat(`{"name": "x", "price": 1.5},`, 700) + `0], "status": "paid"}`,
	} {
		event := anEvent()
		event.Payload = []byte(payload)
		for _, condition := range []string{`event.key == "k-1"`, `event.payload.status == "paid"`,
			`jsonencode(event.payload) != ""`} {
			holds := when(b, fromOrders, condition)
			b.Run(name+"/"+condition, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := holds(event); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
