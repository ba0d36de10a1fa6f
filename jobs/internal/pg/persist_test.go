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

// mute is a server that answers nothing.
func mute(context.Context) bool { return false }

func TestPersistTriesAgainAndLogsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := hclog.New(&hclog.LoggerOptions{Output: &log})
		begun, tries := time.Now(), 0
		err := persist(t.Context(), logger, "write", mute, func(context.Context) error {
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

// What waits for a lock has not failed, and says what to look for.
func TestPersistWaitsForALock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := hclog.New(&hclog.LoggerOptions{Output: &log})
		tries := 0
		err := persist(t.Context(), logger, "write", mute, func(context.Context) error {
			if tries++; tries < 60 {
				return &pgconn.PgError{Code: lockNotAvailable, Where: "while locking tuple"}
			}
			return nil
		})
		if err != nil || strings.Count(log.String(), slow.message) != 1 {
			t.Errorf("%v\n%s", err, &log)
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
		err := persist(t.Context(), logger, "write", mute, func(context.Context) error {
			if tries++; tries < 6 {
				return failures[tries%2]
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		for _, said := range []string{silent.message, refusing} {
			if strings.Count(log.String(), said+", trying again") != 1 {
				t.Errorf("want one line %q:\n%s", said, &log)
			}
		}
	})
}

func TestPersistGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		lost := func(context.Context) error { return errLost }
		err := persist(t.Context(), hclog.NewNullLogger(), "write", mute, lost)
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
		err := persist(t.Context(), hclog.NewNullLogger(), "write", mute, func(ctx context.Context) error {
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

// An answer of the server is not silence, however long it is the same one.
func TestPersistOutlastsAnswers(t *testing.T) {
	raised := func(code string) error { return &pgconn.PgError{Code: code, Where: "function audit()"} }
	for name, failure := range map[string]error{
		"disk full":                 &pgconn.PgError{Code: "53100"},
		"too many connections":      fmt.Errorf("connect: %w", &pgconn.PgError{Code: "53300"}),
		"read only":                 &pgconn.PgError{Code: "25006"},
		"no privilege":              &pgconn.PgError{Code: "42501"},
		"deadlock":                  &pgconn.PgError{Code: "40P01"},
		"text":                      &pgconn.PgError{Code: "22P05"},
		"too large":                 &pgconn.PgError{Code: "54000"},
		"constraint of others":      &pgconn.PgError{Code: "23514"},
		"event trigger":             raised("P0001"),
		"trigger without its table": raised("42P01"),
		"corrupted":                 &pgconn.PgError{Code: "XX001"},
		"session ended":             &pgconn.PgError{Code: "57P01"},
		"pooler":                    &pgconn.PgError{Code: "08P01"},
		"row security":              &pgconn.PgError{Code: "42501", Routine: "check_enable_rls"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				logger := hclog.New(&hclog.LoggerOptions{Output: &log})
				begun := time.Now()
				err := persist(t.Context(), logger, "write", mute, func(context.Context) error {
					if time.Since(begun) < 61*time.Minute {
						return failure
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				if lines := strings.Count(log.String(), "trying again"); lines != 2 {
					t.Errorf("said %d times within 61 minutes, want 2:\n%s", lines, &log)
				}
			})
		})
	}
}

// A step that takes long is given more time, and is no silence, while the server answers on another session.
func TestPersistOutlastsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := hclog.New(&hclog.LoggerOptions{Output: &log})
		begun, last := time.Now(), time.Duration(0)
		err := persist(t.Context(), logger, "write", func(context.Context) bool { return true },
			func(ctx context.Context) error {
				if time.Since(begun) > 10*time.Minute {
					return nil
				}
				tried := time.Now()
				<-ctx.Done()
				last = time.Since(tried)
				return fmt.Errorf("acquire: %w", ctx.Err())
			})
		if err != nil || last != maxTry {
			t.Errorf("got %v, the last try had %s", err, last)
		}
		if lines := strings.Count(log.String(), slow.message); lines != 1 {
			t.Errorf("said %d times, want once:\n%s", lines, &log)
		}
		if longest := maxTry + answerTimeout + MaxBackoff; longest > 18*time.Second {
			t.Errorf("%s between two signs of life", longest)
		}
	})
}

func TestPersistReturnsAtOnce(t *testing.T) {
	for name, failure := range map[string]error{
		"fenced": ErrFenced, "no table": &pgconn.PgError{Code: "42P01"}, "no column": &pgconn.PgError{Code: "42703"},
		"no function": &pgconn.PgError{Code: "42883"}, "no schema": &pgconn.PgError{Code: "3F000"},
	} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			err := persist(t.Context(), hclog.NewNullLogger(), "write", mute, func(context.Context) error {
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
			done <- persist(ctx, hclog.NewNullLogger(), "write", mute, func(context.Context) error {
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
