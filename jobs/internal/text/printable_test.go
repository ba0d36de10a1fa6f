package text

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	for name, test := range map[string]struct{ raw, want string }{
		"empty":               {"", ""},
		"plain":               {"no such file", "no such file"},
		"white space around":  {"\n out of memory\n\n", "out of memory"},
		"lines and tabs stay": {"a\n\tb", "a\n\tb"},
		"carriage returns go": {"a\r\nb\r", "a\nb"},
		"NUL":                 {"a\x00b", "a\uFFFDb"},
		"terminal escape":     {"\x1b[31mred", "\uFFFD[31mred"},
		"cut character":       {"\x82\xac 5 €", "\uFFFD 5 €"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Printable([]byte(test.raw)); got != test.want {
				t.Errorf("Printable(%q) = %q, want %q", test.raw, got, test.want)
			}
		})
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add([]byte("a\x00\xff\u0085b"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got := Printable(raw)
		if !utf8.ValidString(got) {
			t.Errorf("Printable(%q) = %q, which is not UTF-8", raw, got)
		}
		forbidden := func(char rune) bool { return unicode.IsControl(char) && char != '\n' && char != '\t' }
		if strings.ContainsFunc(got, forbidden) {
			t.Errorf("Printable(%q) = %q, which has a control character", raw, got)
		}
	})
}
