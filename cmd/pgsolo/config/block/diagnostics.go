package block

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/mask"
)

// Error is all that is wrong with a file. Error gives the first mistake in one line; Write shows every one with its
// source.
type Error struct {
	file  *hcl.File // nil where there is no source
	diags hcl.Diagnostics
	cause error // of a file that cannot be read
}

// Unreadable is the mistake of a file that cannot be read.
func Unreadable(summary, detail string, cause error) *Error {
	diag := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail}
	return &Error{diags: hcl.Diagnostics{diag}, cause: cause}
}

func newError(file *hcl.File, src []byte, diags hcl.Diagnostics) *Error {
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int { return a.Subject.Start.Byte - b.Subject.Start.Byte })
	if file == nil {
		file = &hcl.File{}
	}
	shown := *file
	masked, secrets := mask.Source(src)
	shown.Bytes = masked
	for _, diag := range diags {
		diag.Summary, diag.Detail = without(diag.Summary, secrets), without(diag.Detail, secrets)
	}
	return &Error{file: &shown, diags: diags}
}

// minSecret is how long a secret is that a message is searched for. A shorter one is a part of many words.
const minSecret = 4

// without hides secrets that stand in the file, should a message quote one.
func without(text string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			found, err := regexp.Compile("(?i)" + regexp.QuoteMeta(secret))
			if err != nil { // it is not UTF-8, and HCL has replaced a part of it
				continue
			}
			text = found.ReplaceAllLiteralString(text, strings.Repeat("*", len(secret)))
		}
	}
	return text
}

// related is a second place that a diagnostic points at, kept in its Extra field.
type related struct {
	label string
	at    hcl.Range
}

// Related is the Extra of a mistake that has to do with a second place in the file, which the label names.
func Related(label string, at hcl.Range) any { return related{label, at} }

// Error is one line: the place of the first mistake, and how many more there are.
func (e *Error) Error() string {
	first := e.diags[0]
	message := fmt.Sprintf("%s: %s", first.Summary, first.Detail)
	if first.Subject != nil {
		message = fmt.Sprintf("%s:%d:%d: %s", first.Subject.Filename, first.Subject.Start.Line,
			first.Subject.Start.Column, message)
	}
	switch more := len(e.diags) - 1; more {
	case 0:
		return message
	case 1:
		return message + " (and 1 more mistake)"
	default:
		return fmt.Sprintf("%s (and %d more mistakes)", message, more)
	}
}

// Unwrap gives the reason why the file could not be read, such as fs.ErrNotExist, or nil.
func (e *Error) Unwrap() error { return e.cause }

// First is the first mistake.
func (e *Error) First() *hcl.Diagnostic { return e.diags[0] }

// Len is the number of mistakes.
func (e *Error) Len() int { return len(e.diags) }

// Write shows every mistake with the lines of the source, the wrong part underlined. Lines are at most width columns
// wide; 0 means any width. Colour asks for terminal escape sequences.
func (e *Error) Write(w io.Writer, width int, colour bool) error {
	var out bytes.Buffer
	renderer := renderer{out: &out, file: e.file, width: width, colour: colour}
	for i, diag := range e.diags {
		if i > 0 {
			out.WriteByte('\n')
		}
		renderer.diagnostic(diag)
	}
	if _, err := out.WriteTo(w); err != nil {
		return fmt.Errorf("write diagnostics: %w", err)
	}
	return nil
}
