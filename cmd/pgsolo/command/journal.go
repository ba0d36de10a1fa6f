package command

import (
	"bytes"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/command/logwriter"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
)

const (
	// journalSize is how many bytes of lines wait at most for an output that is slow.
	journalSize = 1 << 20

	// lastWords is how long an output may take, at the end of the process, to take the lines that wait.
	lastWords = time.Second
)

// journal is the log of a replica. No call of it waits for the output: what safety depends on, from a ping to the end
// of the process, would wait as well.
type journal struct {
	hclog.Logger
	writer *logwriter.Writer
}

// openJournal logs to output as the configuration says. The caller closes it.
func openJournal(c config.Log, output io.Writer) journal {
	logTo := func(w io.Writer) hclog.Logger {
		return hclog.New(&hclog.LoggerOptions{
			Name: "pgsolo", Level: hclog.LevelFromString(c.Level), JSONFormat: c.Format == "json", Output: w,
		})
	}
	writer := logwriter.New(output, journalSize, func(lines int) []byte {
		var line bytes.Buffer
		// At the highest level: whatever level is logged, lines of it are missing.
		logTo(&line).Error("the output of the log took no more, lines are missing here", "lines", lines)
		return line.Bytes()
	})
	return journal{logTo(writer), writer}
}

// close hands what is left to the output.
func (j journal) close() { j.writer.Close(lastWords) }

// exit ends the process with a last line, which has until the bound to be written. The end is armed before: nothing
// that the line waits for puts it off.
func (j journal) exit(code int, within time.Duration, level hclog.Level, message string, args ...any) {
	time.AfterFunc(within, func() { os.Exit(code) })
	j.Log(level, message, args...)
	j.writer.Close(within)
	os.Exit(code)
}

// outliveOutput lets the process go on where nothing reads its output any more, and sends to the journal, for
// debugging, what libraries say to the standard library's log. SIGPIPE is caught, not ignored, because the programs
// that the process starts would inherit that. It stays so until the process ends.
func outliveOutput(j journal) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	log.SetFlags(0)
	log.SetOutput(j.StandardWriter(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}))
}
