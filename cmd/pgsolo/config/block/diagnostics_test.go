package block

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestErrorIsOneLine(t *testing.T) {
	wrong := refused(t, "log { level = \"loud\" }\njob \"a\" {\naction { target = 1 }\n}\nlogg {}\n")
	const want = `x.hcl:1:15: Invalid level: "loud" is not one of the values. It may be "debug", "info", "warn". ` +
		`(and 2 more mistakes)`
	if wrong.Error() != want {
		t.Errorf("error = %v\nwant    %s", wrong, want)
	}
	if wrong.Len() != 3 {
		t.Errorf("error %v has not 3 mistakes", wrong)
	}
}

func TestWriteFitsWidth(t *testing.T) {
	wrong := refused(t, "log {\n\tlevel = \""+strings.Repeat("x", 200)+"\" # "+strings.Repeat("é", 200)+"\n}\n")
	wrong.First().Detail = "words and words and words and words and words and words and words and words"
	for _, width := range []int{1, 40, 61, 80, 200} {
		var out bytes.Buffer
		if err := wrong.Write(&out, width, false); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > max(width, minWidth) {
				t.Errorf("width %d: line of %d: %q", width, n, line)
			}
		}
		if !strings.Contains(out.String(), "^^^") {
			t.Errorf("width %d: nothing is underlined:\n%s", width, &out)
		}
	}
}

func TestWriteColour(t *testing.T) {
	wrong := refused(t, "log { level = \"\x1b[31m\" }\n")
	var plain, coloured bytes.Buffer
	if err := errors.Join(wrong.Write(&plain, 0, false), wrong.Write(&coloured, 0, true)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Errorf("escape sequences without being asked for:\n%q", &plain)
	}
	if !strings.Contains(coloured.String(), red) || !strings.Contains(coloured.String(), reset) {
		t.Errorf("no colour:\n%q", &coloured)
	}
}

// A second place is shown with its own line.
func TestRelated(t *testing.T) {
	var out bytes.Buffer
	action := " {\n  action { target = \"x\" }\n}\n"
	wrong := refused(t, "log { level = \"info\" }\njob \"a\""+action+"job \"a\""+action)
	if err := wrong.Write(&out, 0, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Duplicate name", "on x.hcl:5:5, in job \"a\"",
		"the first one is on x.hcl:2:1, in job \"a\""} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, &out)
		}
	}
}
