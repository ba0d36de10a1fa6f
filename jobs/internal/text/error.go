package text

import (
	"fmt"
	"strings"
)

// MaxError is the most that the database keeps of an error, in bytes before invalid ones are replaced.
const MaxError = 8 << 10

// Error returns the message of an error as a text column can hold it: cut to MaxError, with U+FFFD for NUL and for each
// run of bytes that are not UTF-8.
func Error(err error) string {
	text := fmt.Sprint(err) // unlike err.Error(), it survives an error that panics, such as a nil pointer
	if len(text) > MaxError {
		text = text[:MaxError]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
