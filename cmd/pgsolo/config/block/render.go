package block

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/mitchellh/go-wordwrap"
)

// renderer writes diagnostics in the style of HCL's own text writer, with two differences that it cannot be asked for:
// the underlining does not need a colour terminal, and the values of variables are never printed.
type renderer struct {
	out    *bytes.Buffer
	file   *hcl.File // nil: no source
	width  int       // 0: any
	colour bool
}

const (
	red   = "\x1b[31m"
	bold  = "\x1b[1m"
	reset = "\x1b[0m"
)

// minWidth is what a terminal that is narrower, or says so, gets.
const minWidth = 40

func (r renderer) diagnostic(diag *hcl.Diagnostic) {
	fmt.Fprintf(r.out, "%s %s\n", r.paint(red+bold, "Error:"), r.paint(bold, diag.Summary))
	if diag.Subject != nil {
		r.place("on", *diag.Subject)
		if second, ok := diag.Extra.(related); ok {
			r.place(second.label+" is on", second.at)
		}
	}
	fmt.Fprintf(r.out, "\n%s\n", r.wrap(clean(diag.Detail)))
}

func (r renderer) paint(colour, s string) string {
	if !r.colour {
		return s
	}
	return colour + s + reset
}

func (r renderer) wrap(s string) string {
	if r.width == 0 {
		return s
	}
	return wordwrap.WrapString(s, uint(max(r.width, minWidth)))
}

// place writes where a range is, its first line, and a line that underlines it.
func (r renderer) place(label string, at hcl.Range) {
	if at.Empty() && at.Start.Byte == 0 { // the file as a whole
		fmt.Fprintf(r.out, "\n  %s %s\n", label, at.Filename)
		return
	}
	fmt.Fprintf(r.out, "\n  %s %s:%d:%d", label, at.Filename, at.Start.Line, at.Start.Column)
	if r.file == nil {
		r.out.WriteByte('\n')
		return
	}
	if nav, ok := r.file.Nav.(interface{ ContextString(offset int) string }); ok {
		if in := nav.ContextString(at.Start.Byte); in != "" {
			fmt.Fprintf(r.out, ", in %s", in)
		}
	}
	r.out.WriteString(":\n")
	r.snippet(at)
}

func (r renderer) snippet(at hcl.Range) {
	src := r.file.Bytes
	start := min(at.Start.Byte, len(src))
	lineStart := bytes.LastIndexByte(src[:start], '\n') + 1
	lineEnd := len(src)
	if i := bytes.IndexByte(src[start:], '\n'); i >= 0 {
		lineEnd = start + i
	}
	end := min(max(at.End.Byte, start), lineEnd)

	before, marked := clean(string(src[lineStart:start])), clean(string(src[start:end]))
	after := clean(string(src[end:lineEnd]))
	margin := fmt.Sprintf("%5d: ", at.Start.Line)
	before, marked, after = r.fit(len(margin), before, marked, after)
	fmt.Fprintln(r.out, strings.TrimRight(margin+before+r.paint(bold, marked)+after, " \t\r"))

	// Tabs stay tabs, so that the underlining stands below what it underlines however wide they are.
	indent := strings.Map(func(c rune) rune {
		if c == '\t' {
			return c
		}
		return ' '
	}, margin+before)
	underline := strings.Repeat("^", max(1, utf8.RuneCountInString(marked)))
	fmt.Fprintln(r.out, indent+r.paint(red, underline))
}

// fit cuts a line that is too wide, around the beginning of what is marked.
func (r renderer) fit(margin int, before, marked, after string) (string, string, string) {
	columns := max(r.width, minWidth) - margin
	b, m, a := []rune(before), []rune(marked), []rune(after)
	if r.width == 0 || len(b)+len(m)+len(a) <= columns {
		return before, marked, after
	}
	if context := columns / 3; len(b) > context {
		b = append([]rune("…"), b[len(b)-context+1:]...)
	}
	if len(b)+len(m) > columns {
		m = append(m[:columns-len(b)-1], '…')
	}
	if rest := columns - len(b) - len(m); len(a) > rest {
		a = a[:max(rest-1, 0)]
		if rest > 0 {
			a = append(a, '…')
		}
	}
	return string(b), string(m), string(a)
}

// clean keeps control characters of the source from the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return r
		case r == '\r':
			return -1
		case unicode.IsControl(r):
			return utf8.RuneError
		default:
			return r
		}
	}, s)
}
