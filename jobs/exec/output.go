package exec

import (
	"bytes"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

const (
	outputKept = 2 << 10 // bytes of the end of the output that an error quotes
	lineKept   = 4 << 10 // bytes after which a line is logged in parts
)

// output takes what a command writes. It keeps the end for the error, passes all to the report and, with a logger, logs
// each line that is not blank.
type output struct {
	logger hclog.Logger // nil: lines are not logged
	report *jobs.Report // nil: none is kept

	end  []byte // at most outputKept
	cut  bool   // whether there was more before end
	line []byte // the line that has not ended yet; below lineKept
}

// Write never fails.
func (o *output) Write(chunk []byte) (int, error) {
	o.end = append(o.end, chunk...)
	if extra := len(o.end) - outputKept; extra > 0 {
		o.end = append(o.end[:0], o.end[extra:]...)
		o.cut = true
	}
	_, _ = o.report.Write(chunk)
	if o.logger != nil {
		o.logLines(chunk)
	}
	return len(chunk), nil
}

func (o *output) logLines(chunk []byte) {
	for len(chunk) > 0 {
		line, rest, ended := bytes.Cut(chunk, []byte("\n"))
		if room := lineKept - len(o.line); len(line) >= room {
			line, rest, ended = chunk[:room], chunk[room:], true
		}
		o.line = append(o.line, line...)
		chunk = rest
		if ended {
			o.logLine()
		}
	}
}

func (o *output) logLine() {
	if line := text.Printable(o.line); line != "" {
		o.logger.Debug("command wrote", "line", line)
	}
	o.line = o.line[:0]
}

// finish logs a last line that has no line feed.
func (o *output) finish() {
	if len(o.line) > 0 {
		o.logLine()
	}
}

// quote returns the end of the output in the form that an error message ends with.
func (o *output) quote() string {
	text := text.Printable(o.end)
	if text == "" {
		return ""
	}
	if o.cut {
		text = "…" + text
	}
	return ": " + text
}
