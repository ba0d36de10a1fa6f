package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable returns bytes of foreign origin, such as the output of a command or the body of a response, as text that
// can stand in an error, in a log line and in a text column: valid UTF-8 without control characters other than line
// feed and tab, and without white space around it.
//
// Carriage returns are dropped. Each run of bytes that are not UTF-8 and each other control character becomes U+FFFD.
// The length is the caller's business, who may have cut the bytes in the middle of a character.
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
