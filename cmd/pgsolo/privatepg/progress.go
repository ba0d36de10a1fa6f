package privatepg

import (
	"fmt"
	"io"
	"strings"
)

// progressBar shows one download on one line, which it writes anew for each percent. It is used by one goroutine at a
// time.
type progressBar struct {
	out   io.Writer
	title string
	total int64 // bytes; below 0 where the server does not tell
	done  int64
	step  int64 // the last one shown: percent, or megabytes without a total
}

func newProgressBar(out io.Writer, title string) *progressBar {
	if out == nil {
		out = io.Discard
	}
	return &progressBar{out: out, title: title}
}

func (b *progressBar) begin(total int64) {
	b.total, b.done, b.step = total, 0, -1
	b.show()
}

// Write counts what passes by.
func (b *progressBar) Write(p []byte) (int, error) {
	b.done += int64(len(p))
	b.show()
	return len(p), nil
}

// end leaves the line as it is and begins a new one.
func (b *progressBar) end() { fmt.Fprintln(b.out) }

func (b *progressBar) show() {
	const megabyte, width = 1e6, 30
	step := b.done / megabyte
	if b.total > 0 {
		step = 100 * b.done / b.total
	}
	if step == b.step {
		return
	}
	b.step = step
	if b.total <= 0 {
		fmt.Fprintf(b.out, "\rdownloading %s  %.1f MB", b.title, float64(b.done)/megabyte)
		return
	}
	filled := int(min(step, 100) * width / 100)
	fmt.Fprintf(b.out, "\rdownloading %s  [%s%s] %3d%%  %.1f of %.1f MB", b.title,
		strings.Repeat("#", filled), strings.Repeat(".", width-filled), step,
		float64(b.done)/megabyte, float64(b.total)/megabyte)
}
