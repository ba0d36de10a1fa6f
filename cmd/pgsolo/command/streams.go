package command

import (
	"io"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/mattn/go-isatty"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
)

// Streams are what the program reads from and writes to. All are required. Results go to Out; logs, progress and errors
// go to Err.
type Streams struct {
	In       *os.File
	Out, Err *os.File
}

// colour says whether to send escape sequences to f.
func colour(f *os.File) bool {
	return isatty.IsTerminal(f.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// newLogger logs to w as the configuration says.
func newLogger(c config.Log, w io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: "pgsolo", Level: hclog.LevelFromString(c.Level), JSONFormat: c.Format == "json", Output: w,
	})
}
