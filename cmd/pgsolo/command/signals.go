package command

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// forcedEnd is how long after the drain the program may take to end; then it exits whatever still runs.
const forcedEnd = 10 * time.Second

// sameSignal is how soon after the first a signal counts as the same one: timeout(1) and others send it to the process
// and to its group.
const sameSignal = 50 * time.Millisecond

// ending are the signals that end the program. A terminal that is closed, and a supervisor that wants the configuration
// read anew, send SIGHUP, which ends a process at once that does not take it: here it hands over as SIGTERM does. Under
// nohup it stays ignored.
func ending() []os.Signal {
	signals := []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// untilInterrupt returns a context that the first of them ends. A second one ends the program in the ordinary
// way, without clean-up.
func untilInterrupt(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, ending()...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// untilDrained returns a context that the first of them ends. The second one, or the end of the time for a
// planned stop, ends the process.
func untilDrained(ctx context.Context, j journal, drain time.Duration) (context.Context, func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, ending()...)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case s := <-signals:
			cancel()
			j.Info("stopping", "signal", s.String(), "drain", drain)
		case <-done:
			return
		}
		first, end := time.Now(), time.After(drain+forcedEnd)
		for {
			select {
			case s := <-signals:
				if time.Since(first) < sameSignal {
					continue
				}
				j.exit(ExitError, lastWords, hclog.Warn, "exiting at once", "signal", s.String())
			case <-end:
				j.exit(ExitError, lastWords, hclog.Error, "exiting at once: something has not stopped",
					"after", drain+forcedEnd)
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
		close(done)
		<-ended
	}
}

// exitAtEOF ends the process when its standard input ends: with the process that holds the other end, however that one
// ends.
func exitAtEOF(in io.Reader) {
	_, _ = io.Copy(io.Discard, in)
	os.Exit(ExitError)
}
