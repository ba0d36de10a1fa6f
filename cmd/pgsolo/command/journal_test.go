package command

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// What an output has not taken it is told, in the format of the log and at whatever level.
func TestJournalSaysWhatIsMissing(t *testing.T) {
	read, output := io.Pipe()
	j := openJournal(config.Log{Level: "error", Format: "json"}, output)
	line := strings.Repeat("x", journalSize/4)
	const written = 20
	for range written {
		j.Error(line)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		j.close()
		output.Close()
	}()
	var arrived, missing int
	lines := bufio.NewReader(read)
	for {
		text, err := lines.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		var got struct {
			Message string `json:"@message"`
			Lines   int
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%v: %.200s", err, text)
		}
		missing += got.Lines
		if got.Message == line {
			arrived++
		}
	}
	pgtest.Within(t, "close", closed)
	if missing == 0 || arrived+missing != written {
		t.Errorf("%d lines arrived, %d are said to be missing, want %d together", arrived, missing, written)
	}
}

// What a library says to the standard library's log goes through the journal, and not to the output itself.
func TestStandardLogGoesToJournal(t *testing.T) {
	flags, before := log.Flags(), log.Writer()
	t.Cleanup(func() {
		log.SetFlags(flags)
		log.SetOutput(before)
		signal.Reset(syscall.SIGPIPE)
	})
	output, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	j := openJournal(config.Log{Level: "debug"}, output)
	outliveOutput(j)
	log.Print("said by a library")
	j.close()
	text, err := os.ReadFile(output.Name())
	if err != nil || !strings.Contains(string(text), "[DEBUG] pgsolo: said by a library\n") {
		t.Errorf("log %q, error %v", text, err)
	}
}
