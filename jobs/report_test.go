package jobs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

func TestReportOutput(t *testing.T) {
	many := strings.Repeat
	for name, test := range map[string]struct {
		writes []string
		want   string
	}{
		"nothing":             {},
		"white space stays":   {writes: []string{"  a\n", "\t b\n\n"}, want: "  a\n\t b\n\n"},
		"only white space":    {writes: []string{" \n"}, want: " \n"},
		"carriage returns go": {writes: []string{"a\r\n"}, want: "a\n"},
		"NUL and other control bytes": {
			writes: []string{"a\x00b\x1b[31m\u0085"},
			want:   "a\uFFFDb\uFFFD[31m\uFFFD",
		},
		"not UTF-8":                 {writes: []string{"a\xff\xfe", "b"}, want: "a\uFFFDb"},
		"half a character first":    {writes: []string{"\x82\xacb"}, want: "\uFFFDb"},
		"half a character last":     {writes: []string{"a\xe2\x82"}, want: "a\uFFFD"},
		"a character in two writes": {writes: []string{"a\xe2", "\x82\xac"}, want: "a€"},
		"as much as is kept":        {writes: []string{many("x", maxOutput)}, want: many("x", maxOutput)},
		"one byte more": {
			writes: []string{many("x", maxOutput), "y"},
			want:   "…" + many("x", maxOutput-4) + "y",
		},
		"one byte more, at once": {
			writes: []string{many("x", maxOutput) + "y"},
			want:   "…" + many("x", maxOutput-4) + "y",
		},
		"more than kept, after some": {
			writes: []string{"some", many("x", maxOutput) + "y"},
			want:   "…" + many("x", maxOutput-4) + "y",
		},
		"longer when replaced": {
			writes: []string{"x" + many("\x00", maxOutput/2)},
			want:   "…" + many("\uFFFD", maxOutput/3-1),
		},
		"shorter, with 2 bytes left of 3": {
			writes: []string{"€" + many("\r\n", maxOutput/2-1)},
			want:   "…" + many("\n", maxOutput/2-1),
		},
		"shorter, with 3 bytes left of 4": {
			writes: []string{"𝄞\n" + many("\r\n", maxOutput/2-2)},
			want:   "…" + many("\n", maxOutput/2-1),
		},
		"shorter when replaced": {writes: []string{many("\xff", maxOutput), "y"}, want: "…\uFFFDy"},
	} {
		t.Run(name, func(t *testing.T) {
			var report Report
			for _, text := range test.writes {
				if n, err := report.Write([]byte(text)); n != len(text) || err != nil {
					t.Fatalf("Write = %d, %v", n, err)
				}
			}
			if got, _, _ := report.End(); got != test.want {
				t.Errorf("output has %d bytes: %s\nwant %d: %s", len(got), ends(got), len(test.want), ends(test.want))
			}
		})
	}
}

// ends shortens a text for a message.
func ends(text string) string {
	if len(text) < 200 {
		return fmt.Sprintf("%+q", text)
	}
	return fmt.Sprintf("%+q … %+q", text[:80], text[len(text)-80:])
}

// A cut may fall on each byte of a character, and the part that is left is not shown as a broken one.
func TestReportIsCutBetweenCharacters(t *testing.T) {
	for _, char := range []string{"x", "é", "€", "𝄞"} {
		for shift := range 8 {
			var report Report
			text := strings.Repeat("y", shift) + strings.Repeat(char, maxOutput+1)
			_, _ = report.Write([]byte(text))
			got, _, _ := report.End()
			kept, marked := strings.CutPrefix(got, "…")
			if !marked || kept != strings.Repeat(char, len(kept)/len(char)) {
				t.Errorf("%s after %d bytes: output begins with %+.20q", char, shift, got)
			}
			if len(got) > maxOutput || len(got) < maxOutput-2*utf8.UTFMax {
				t.Errorf("%s after %d bytes: output has %d bytes, want up to %d", char, shift, len(got), maxOutput)
			}
		}
	}
}

// Writes of any sizes leave what one write of it all leaves.
func TestReportOfManyWrites(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 0))
		var report Report
		var all []byte
		for range random.IntN(60) {
			chunk := make([]byte, random.IntN([]int{10, 3000, maxOutput + 100}[random.IntN(3)]))
			for i := range chunk {
				chunk[i] = 'a' + byte(random.IntN(26))
			}
			all = append(all, chunk...)
			_, _ = report.Write(chunk)
			if most := min(maxOutput, 2*len(all)); cap(report.output) > most {
				t.Fatalf("seed %d: %d bytes take memory for %d", seed, len(all), cap(report.output))
			}
		}
		want := string(all)
		if len(all) > maxOutput {
			want = "…" + want[len(all)-maxOutput+len("…"):]
		}
		if got, _, _ := report.End(); got != want {
			t.Fatalf("seed %d: output of %d bytes is %s\nwant %s", seed, len(all), ends(got), ends(want))
		}
	}
}

// The end of a flood of any bytes comes back from PostgreSQL as it went there.
func TestReportFitsATextColumn(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Database(t))
	for seed := range byte(5) {
		flood := make([]byte, 2*maxOutput+int(seed))
		_, _ = rand.NewChaCha8([32]byte{seed}).Read(flood)
		var report Report
		_, _ = report.Write(flood)
		output, _, _ := report.End()
		if len(output) > maxOutput || len(output) < maxOutput-2*utf8.UTFMax {
			t.Errorf("output has %d bytes, want up to %d", len(output), maxOutput)
		}
		control := func(char rune) bool { return unicode.IsControl(char) && char != '\n' && char != '\t' }
		if strings.ContainsFunc(output, control) {
			t.Error("output has control characters")
		}
		var got string
		if err := conn.QueryRow(t.Context(), `select $1::text`, output).Scan(&got); err != nil || got != output {
			t.Errorf("PostgreSQL returned %s, %v; want %s", ends(got), err, ends(output))
		}
	}
}

func TestReportNotes(t *testing.T) {
	var report Report
	report.SetExitCode(7)
	report.SetExitCode(0)
	report.SetHTTPStatus(204)
	output, exitCode, httpStatus := report.End()
	if output != "" || exitCode == nil || *exitCode != 0 || httpStatus == nil || *httpStatus != 204 {
		t.Errorf("result = %q, %v, %v; want exit code 0 and status 204", output, exitCode, httpStatus)
	}

	var empty Report
	if output, exitCode, httpStatus := empty.End(); output != "" || exitCode != nil || httpStatus != nil {
		t.Errorf("result of an empty report = %q, %v, %v", output, exitCode, httpStatus)
	}
}

func TestReportNil(t *testing.T) {
	var report *Report
	report.SetExitCode(1)
	report.SetHTTPStatus(500)
	if n, err := report.Write([]byte("text")); n != 4 || err != nil {
		t.Errorf("Write = %d, %v; want 4, nil", n, err)
	}
	if output, exitCode, httpStatus := report.End(); output != "" || exitCode != nil || httpStatus != nil {
		t.Errorf("result = %q, %v, %v", output, exitCode, httpStatus)
	}
}

// Goroutines that outlive their run add nothing, and hold no memory.
func TestReportIsOver(t *testing.T) {
	var report Report
	_, _ = report.Write([]byte("in time"))
	report.SetExitCode(1)
	report.SetHTTPStatus(500)
	output, exitCode, httpStatus := report.End()
	if n, err := report.Write([]byte("late")); n != 4 || err != nil {
		t.Errorf("Write = %d, %v; want 4, nil", n, err)
	}
	report.SetExitCode(2)
	report.SetHTTPStatus(501)
	if output != "in time" || *exitCode != 1 || *httpStatus != 500 {
		t.Errorf("result = %q, %d, %d", output, *exitCode, *httpStatus)
	}
	if report.output != nil || *report.exitCode != 1 || *report.httpStatus != 500 {
		t.Errorf("later calls left %q, %d, %d", report.output, *report.exitCode, *report.httpStatus)
	}
}

// Each write stays in one piece, also while others write, note and end the report.
func TestReportOfManyWriters(t *testing.T) {
	const writers, line = 8, "0123456789abcde\n"
	var report Report
	var work sync.WaitGroup
	full := make(chan struct{})
	for writer := range writers {
		work.Go(func() {
			for n := range maxOutput / len(line) { // all of them together more than is kept
				_, _ = report.Write([]byte(line))
				report.SetExitCode(writer)
				report.SetHTTPStatus(writer)
				if writer == 0 && n == maxOutput/len(line)/2 {
					close(full)
				}
			}
		})
	}
	<-full
	output, exitCode, httpStatus := report.End() // some have not ended yet
	again, _, _ := report.End()
	work.Wait()
	lines, _ := strings.CutPrefix(output, "…")
	if !strings.HasSuffix(strings.Repeat(line, maxOutput), lines) || len(lines) < maxOutput/2 {
		t.Errorf("output of %d bytes has broken lines: %s", len(output), ends(output))
	}
	if again != "" || exitCode == nil || httpStatus == nil {
		t.Errorf("result = %v, %v, and %q the second time", exitCode, httpStatus, again)
	}
}

func TestReportWriteDoesNotAllocate(t *testing.T) {
	var report Report
	_, _ = report.Write(make([]byte, maxOutput))
	text := make([]byte, 100)
	if got := testing.AllocsPerRun(1000, func() { _, _ = report.Write(text) }); got > 0 {
		t.Errorf("a write to a full report allocates %v times", got)
	}
}

// BenchmarkReportWrite writes 100 bytes at a time to a report that is full, and compares that with the floor: a copy of
// as many bytes under a lock.
func BenchmarkReportWrite(b *testing.B) {
	text := bytes.Repeat([]byte("x"), 100)
	const rounds = 1_000_000
	var lock sync.Mutex
	floor := make([]byte, maxOutput)
	began := time.Now()
	for n := range rounds {
		lock.Lock()
		copy(floor[n*len(text)%(maxOutput-len(text)):], text)
		lock.Unlock()
	}
	perCopy := float64(time.Since(began)) / rounds

	var report Report
	_, _ = report.Write(floor)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		_, _ = report.Write(text)
	}
	b.ReportMetric(perCopy, "ns/floor")
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/perCopy, "x-floor")
}
