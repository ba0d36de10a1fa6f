package text

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Check returns an error for what no text of PostgreSQL can hold, NUL and invalid UTF-8, with the place of the first
// such byte, counted from 1.
func Check(s string) error {
	if at := strings.IndexByte(s, 0); at >= 0 {
		return fmt.Errorf("NUL at byte %d", at+1)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("invalid UTF-8 at byte %d", 1+len(ValidPrefix([]byte(s))))
	}
	return nil
}

// ValidPrefix returns text up to its first byte that is no UTF-8. The result shares its memory.
func ValidPrefix(text []byte) []byte {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return text[:at]
		}
		at += size
	}
	return text
}
