package pg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgconn"
)

var errLost = errors.New("connection lost")

func TestPersistTriesAgainAndLogsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := hclog.New(&hclog.LoggerOptions{Output: &log})
		begun, tries := time.Now(), 0
		err := Persist(t.Context(), logger, "write", func(context.Context) error {
			if tries++; tries < 8 {
				return errLost
			}
			return nil
		})
		if err != nil || tries != 8 {
			t.Errorf("got %v after %d tries, want success after 8", err, tries)
		}
		// 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 2 + 2
		if took := time.Since(begun); took != 7100*time.Millisecond {
			t.Errorf("waited %s in all, want 7.1s", took)
		}
		if lines := strings.Count(log.String(), "\n"); lines != 1 {
			t.Errorf("logged %d lines, want 1:\n%s", lines, &log)
		}
	})
}

// What the server answers is not called silence, and each is said once, however they take turns.
func TestPersistTellsAnAnswerFromSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := hclog.New(&hclog.LoggerOptions{Output: &log})
		failures := []error{fmt.Errorf("deep: %w", &pgconn.PgError{Code: "53300"}), errLost}
		tries := 0
		err := Persist(t.Context(), logger, "write", func(context.Context) error {
			if tries++; tries < 6 {
				return failures[tries%2]
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		for _, said := range []string{silent, refusing} {
			if strings.Count(log.String(), said+", trying again") != 1 {
				t.Errorf("want one line %q:\n%s", said, &log)
			}
		}
	})
}

func TestPersistGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		err := Persist(t.Context(), hclog.NewNullLogger(), "write", func(context.Context) error { return errLost })
		if !errors.Is(err, errLost) || !strings.HasPrefix(err.Error(), "write: gave up after 30s") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begun); took > giveUpAfter || took < giveUpAfter-MaxBackoff {
			t.Errorf("gave up after %s, want at most %s", took, giveUpAfter)
		}
	})
}

func TestPersistEndsATryThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		err := Persist(t.Context(), hclog.NewNullLogger(), "write", func(ctx context.Context) error {
			if tries++; tries == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		if err != nil || tries != 2 {
			t.Errorf("got %v after %d tries, want success after 2", err, tries)
		}
	})
}

func TestPersistReturnsAtOnce(t *testing.T) {
	refused := &pgconn.PgError{Code: "42P01"}
	for name, failure := range map[string]error{"fenced": ErrFenced, "refused": refused} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			err := Persist(t.Context(), hclog.NewNullLogger(), "write", func(context.Context) error {
				tries++
				return fmt.Errorf("deep: %w", failure)
			})
			if !errors.Is(err, failure) || tries != 1 {
				t.Errorf("got %v after %d tries, want %v after 1", err, tries, failure)
			}
		})
	}
}

func TestPersistStopsWaitingWhenCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		tried, done := make(chan struct{}), make(chan error)
		go func() {
			done <- Persist(ctx, hclog.NewNullLogger(), "write", func(context.Context) error {
				close(tried)
				return errLost
			})
		}()
		<-tried
		begun := time.Now()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("returned %s after the cancellation", took)
		}
	})
}
