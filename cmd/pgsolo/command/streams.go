package command

import (
	"os"

	"github.com/mattn/go-isatty"
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
