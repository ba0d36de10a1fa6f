package listener

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

type order struct {
	ID    int    `json:"id"`
	Items []item `json:"items"`
}

type item struct{ Name string }

// picky decodes itself, null included.
type picky struct{ saw string }

var errPicky = errors.New("not to my taste")

func (p *picky) UnmarshalJSON(text []byte) error {
	if p.saw = string(text); p.saw == `"bad"` {
		return errPicky
	}
	return nil
}

// Each payload that is not the JSON expected is an error that names the channel and the byte, with the zero value
// beside it.
func TestDecodeJSONErrors(t *testing.T) {
	s := &Subscription{channel: "orders é"}
	for payload, at := range map[string]int{
		"":                                0,
		" \t\n":                           0,
		"null":                            0,
		"  null ":                         2,
		"hello":                           0,
		"{'id': 1}":                       1,
		`{"id": 1}}`:                      9,
		`{"id": 1} {"id": 2}`:             10,
		`{"id": 1,}`:                      9,
		`[{"id": 1}]`:                     0,
		`{"id": "x"}`:                     9,
		`{"items": [{"Name": 1}]}`:        20,
		`{"id": 1.5}`:                     9,
		`{"id":`:                          5,  // its last
		`{"id": 1, "items": [{`:           20, // its last
		`{"id": 1`:                        7,  // its last
		`{"id": 99999999999999999999999}`: 29,
	} {
		got, err := DecodeJSON[order](s, payload)
		if err == nil {
			t.Errorf("%q is taken for %+v", payload, got)
			continue
		}
		if !strings.Contains(err.Error(), `channel "orders é"`) {
			t.Errorf("%q: the error does not name the channel: %v", payload, err)
		}
		if _, after, _ := strings.Cut(err.Error(), "at byte "); !strings.HasPrefix(after, itoa(at)+":") {
			t.Errorf("%q: want byte %d, the error is: %v", payload, at, err)
		}
		if !reflect.DeepEqual(got, order{}) {
			t.Errorf("%q: beside the error there is %+v", payload, got)
		}
	}
}

func itoa(n int) string { text, _ := json.Marshal(n); return string(text) }

func TestDecodeJSON(t *testing.T) {
	s := &Subscription{channel: "c"}
	got, err := DecodeJSON[order](s, ` {"id": 7, "items": [{"Name": "🐘"}], "more": true} `)
	if want := (order{7, []item{{"🐘"}}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := DecodeJSON[order](s, `{}`); err != nil || !reflect.DeepEqual(got, order{}) {
		t.Errorf("an empty object: %+v, %v", got, err)
	}
	if got, err := DecodeJSON[picky](s, `"bad"`); !errors.Is(err, errPicky) ||
		!strings.Contains(err.Error(), `channel "c"`) || got.saw != "" {
		t.Errorf("a type that decodes itself: %+v, %v", got, err)
	}
}

// null is taken where the type has a value for it, and for nothing else: it would become an empty object.
func TestDecodeJSONNull(t *testing.T) {
	s := &Subscription{channel: "c"}
	for name, decode := range map[string]func() (any, error){
		"struct": func() (any, error) { v, err := DecodeJSON[order](s, " null"); return v, err },
		"map":    func() (any, error) { v, err := DecodeJSON[map[string]int](s, " null"); return v, err },
		"slice":  func() (any, error) { v, err := DecodeJSON[[]int](s, " null"); return v, err },
		"int":    func() (any, error) { v, err := DecodeJSON[int](s, " null"); return v, err },
		"string": func() (any, error) { v, err := DecodeJSON[string](s, " null"); return v, err },
	} {
		if v, err := decode(); err == nil || !strings.Contains(err.Error(), "at byte 1: null is no ") ||
			!reflect.ValueOf(v).IsZero() {
			t.Errorf("%s: %#v, %v", name, v, err)
		}
	}
	if v, err := DecodeJSON[*order](s, "null"); v != nil || err != nil {
		t.Errorf("pointer: %v, %v", v, err)
	}
	if v, err := DecodeJSON[any](s, "null"); v != nil || err != nil {
		t.Errorf("any: %v, %v", v, err)
	}
	if v, err := DecodeJSON[json.RawMessage](s, "null"); string(v) != "null" || err != nil {
		t.Errorf("raw message: %s, %v", v, err)
	}
	if v, err := DecodeJSON[picky](s, "null"); v.saw != "null" || err != nil {
		t.Errorf("a type that decodes itself: %+v, %v", v, err)
	}
}

// Whatever arrives, decoding neither panics nor makes an object of what is none.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{"", "null", "{", "{}", `{"id":1}`, "[]", "\xff", `"\ud800"`, "{}x", " {} "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		s := &Subscription{channel: "c"}
		object, err := DecodeJSON[map[string]any](s, payload)
		if err == nil && (object == nil || !strings.HasPrefix(strings.TrimLeft(payload, " \t\r\n"), "{")) {
			t.Errorf("%q became %v", payload, object)
		}
		if err != nil && (object != nil || !strings.Contains(err.Error(), `channel "c"`) ||
			!strings.Contains(err.Error(), "at byte ")) {
			t.Errorf("%q: %v, %v", payload, object, err)
		}
		if _, err := DecodeJSON[any](s, payload); (err == nil) != json.Valid([]byte(payload)) {
			t.Errorf("%q: %v", payload, err)
		}
	})
}
