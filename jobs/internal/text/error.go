package text

import (
	"fmt"
	"strings"
)

// MaxError bounds what is kept of an error in the database.
const MaxError = 8 << 10

// Error is an error as PostgreSQL can keep it: valid UTF-8, without NUL, bounded.
func Error(err error) string {
	text := fmt.Sprint(err) // unlike err.Error(), it survives an error that panics, such as a nil pointer
	if len(text) > MaxError {
		text = text[:MaxError]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
