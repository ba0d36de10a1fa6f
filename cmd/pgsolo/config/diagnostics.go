package config

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// Error is all that is wrong with a configuration. Error gives the first mistake in one line; Write shows every one with its
// source.
type Error struct {
	filename string
	file     *hcl.File // nil where there is no source
	diags    hcl.Diagnostics
	cause    error // of a file that cannot be read
}

func newError(file *hcl.File, src []byte, diags hcl.Diagnostics) *Error {
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int { return a.Subject.Start.Byte - b.Subject.Start.Byte })
	if file == nil {
		file = &hcl.File{}
	}
	shown := *file
	shown.Bytes = mask(src)
	return &Error{filename: diags[0].Subject.Filename, file: &shown, diags: diags}
}

// related is a second place that a diagnostic points at, kept in its Extra field.
type related struct {
	label string
	at    hcl.Range
}

// Error is one line: the place of the first mistake, and how many more there are.
func (e *Error) Error() string {
	first := e.diags[0]
	message := fmt.Sprintf("%s: %s", first.Summary, first.Detail)
	if first.Subject != nil {
		message = fmt.Sprintf("%s:%d:%d: %s", first.Subject.Filename, first.Subject.Start.Line, first.Subject.Start.Column, message)
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

// Len is the number of mistakes.
func (e *Error) Len() int { return len(e.diags) }

// Write shows every mistake with the lines of the source, the wrong part underlined. Lines are at most width columns wide; 0
// means any width. Colour asks for terminal escape sequences.
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
