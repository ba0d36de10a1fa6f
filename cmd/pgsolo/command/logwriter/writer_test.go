package logwriter

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipe is an output that takes a line when the test reads it.
type pipe chan string

func (p pipe) Write(line []byte) (int, error) {
	p <- string(line)
	return len(line), nil
}

func notice(lines int) []byte { return fmt.Appendf(nil, "%d dropped\n", lines) }

func write(t *testing.T, w *Writer, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if n, err := w.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("write of %q: %d, %v", line, n, err)
		}
	}
}

// Lines that find no room are dropped, until half of it is free again, and a line in their place says how many.
func TestDropsWhatFindsNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := make(pipe)
		w := New(out, 8, notice)
		write(t, w, "a\n")
		synctest.Wait() // in its write
		write(t, w, "b\n", "c\n", "d\n", "e\n", "f\n", "g\n")
		var got []string
		read := func() {
			got = append(got, <-out)
			synctest.Wait() // the next is taken
		}
		read()
		write(t, w, "h\n") // six of eight bytes wait: more than half
		read()
		write(t, w, "i\n", "j\n") // four
		want := []string{"a\n", "b\n", "c\n", "d\n", "e\n", "3 dropped\n", "i\n", "j\n"}
		for len(got) < len(want) {
			read()
		}
		if !w.Close(time.Second) {
			t.Error("not all was written")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("written (-want +got):\n%s", diff)
		}
	})
}

// What was dropped is said even if no line follows, and a line that is longer than the limit is dropped alone.
func TestDropsLineLongerThanLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := make(pipe, 10)
		w := New(out, 8, notice)
		write(t, w, "much too long\n")
		synctest.Wait()
		if len(out) != 1 {
			t.Error("what is missing is not said before the next line comes")
		}
		write(t, w, "a\n")
		w.Close(time.Second)
		if write(t, w, "late\n"); len(w.queue) != 0 {
			t.Error("a line was taken in after Close")
		}
		close(out)
		var got []string
		for line := range out {
			got = append(got, line)
		}
		if diff := cmp.Diff([]string{"1 dropped\n", "a\n"}, got); diff != "" {
			t.Errorf("written (-want +got):\n%s", diff)
		}
	})
}

// An output that never takes anything holds up neither Write nor, beyond its bound, Close. The goroutine ends with the
// write that it is in, and writes nothing more.
func TestNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := make(pipe)
		w := New(out, 1000, notice)
		began := time.Now()
		for i := range 10_000 {
			write(t, w, fmt.Sprintln(i))
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("Write waited for %s", took)
		}
		if w.waiting > 1000 || len(w.queue) > 1000 {
			t.Errorf("%d bytes in %d lines wait", w.waiting, len(w.queue))
		}
		for range 2 {
			began = time.Now()
			if w.Close(time.Second) {
				t.Error("all was written")
			}
			if took := time.Since(began); took != time.Second {
				t.Errorf("Close took %s, want its bound", took)
			}
		}
		if line := <-out; line != "0\n" {
			t.Errorf("written: %q", line)
		}
		<-w.ended
		if w.Close(time.Second) {
			t.Error("all was written, after all")
		}
	})
}

// broken is an output that refuses some of its writes.
type broken struct {
	refuses []int // numbers of writes, from 1 on
	writes  int
	got     strings.Builder
}

func (b *broken) Write(line []byte) (int, error) {
	if b.writes++; slices.Contains(b.refuses, b.writes) {
		return 0, errors.New("broken")
	}
	return b.got.Write(line)
}

// The second write that is refused says that a line is missing: the next line is not written without that.
func TestCountsWhatTheOutputRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &broken{refuses: []int{2, 3}}
		w := New(out, 1000, notice)
		write(t, w, "a\n", "b\n", "c\n", "d\n", "e\n")
		if !w.Close(time.Second) {
			t.Error("not all was offered")
		}
		if diff := cmp.Diff("a\n2 dropped\nd\ne\n", out.got.String()); diff != "" {
			t.Errorf("written (-want +got):\n%s", diff)
		}
	})
}

// Through a real pipe that is slower than its writers, each writer's lines come in order, and those that are missing
// are counted.
func TestPipe(t *testing.T) {
	const writers, lines = 4, 5000
	read, output, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	w := New(output, 10_000, notice)
	var writing sync.WaitGroup
	for n := range writers {
		writing.Go(func() {
			for i := range lines {
				write(t, w, fmt.Sprintf("%d writes %d\n", n, i))
			}
		})
	}
	writing.Wait() // nothing is read before: far more was written than the pipe and the queue hold
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		w.Close(time.Minute)
		output.Close()
	}()
	var arrived, dropped int
	last := map[int]int{}
	scanner := bufio.NewScanner(read)
	for scanner.Scan() {
		var n, i int
		if _, err := fmt.Sscanf(scanner.Text(), "%d writes %d", &n, &i); err == nil {
			if before, ok := last[n]; ok && i <= before {
				t.Errorf("line %d of writer %d comes after line %d", i, n, before)
			}
			last[n] = i
			arrived++
			continue
		}
		if _, err := fmt.Sscanf(scanner.Text(), "%d dropped", &n); err != nil {
			t.Errorf("no whole line: %q", scanner.Text())
		}
		dropped += n
	}
	<-closed
	if err := scanner.Err(); err != nil {
		t.Error(err)
	}
	if dropped == 0 || arrived+dropped != writers*lines {
		t.Errorf("%d lines arrived and %d were dropped, want %d in all", arrived, dropped, writers*lines)
	}
}
