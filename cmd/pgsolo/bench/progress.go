package bench

import (
	"fmt"
	"io"
)

// progress shows how far the bench is: on a terminal in one line that is written anew, else in a line per figure.
type progress struct {
	out    io.Writer
	live   bool
	figure string // that the last line was for
}

func (p *progress) say(text string) {
	p.clear()
	fmt.Fprintln(p.out, text)
}

// step says that sample i of n, counted from 1, is next.
func (p *progress) step(figure string, i, n int) {
	switch {
	case p.live:
		fmt.Fprintf(p.out, "\r\x1b[K%s  %d of %d", figure, i, n)
	case figure != p.figure:
		fmt.Fprintf(p.out, "%s  %d\n", figure, n)
	}
	p.figure = figure
}

func (p *progress) clear() {
	if p.live {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
