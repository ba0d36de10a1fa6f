// Package printable makes text of bytes that somebody else wrote, such as the output of a command or the body of a
// response, so that it can stand in an error, in a log line and in a text column.
//
// It guarantees valid UTF-8 without control characters other than line feed and tab. It does not remove secrets, and it
// does not shorten: the caller has cut the bytes already, perhaps in the middle of a character.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable returns the bytes as text without white space around it. Carriage returns are dropped. Each run of bytes that are not
// UTF-8 and each other control character becomes U+FFFD.
func Printable(raw []byte) string {
	valid := strings.ToValidUTF8(string(raw), string(utf8.RuneError))
	return strings.TrimSpace(strings.Map(replaceControl, valid))
}

func replaceControl(char rune) rune {
	switch {
	case char == '\n', char == '\t':
		return char
	case char == '\r':
		return -1
	case unicode.IsControl(char):
		return utf8.RuneError
	}
	return char
}
