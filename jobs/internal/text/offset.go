package text

import (
	"encoding/json"
	"errors"
	"fmt"
)

// WithOffset adds the byte position to an error of encoding/json, which keeps it out of its message. Other errors are
// returned as they are.
func WithOffset(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("at byte %d: %w", syntax.Offset, err)
	}
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("at byte %d: %w", mismatch.Offset, err)
	}
	return err
}
