package text

import (
	"encoding/json"
	"fmt"
)

// Headers decodes the headers of an event, a JSON object. A string is kept as it is, any other value as its JSON. No
// text and an empty object have no headers, nil.
func Headers(text []byte) (map[string]string, error) {
	if len(text) <= len("{}") {
		return nil, nil
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("decode headers: %w", err)
	}
	headers := make(map[string]string, len(raw))
	for name, value := range raw {
		var s string
		if json.Unmarshal(value, &s) != nil {
			s = string(value)
		}
		headers[name] = s
	}
	return headers, nil
}
