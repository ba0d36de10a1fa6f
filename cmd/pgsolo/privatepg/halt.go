package privatepg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Mode says how PostgreSQL shuts down.
type Mode string

// The modes, by the names that pg_ctl gives them.
const (
	Fast      Mode = "fast"      // sessions are told and cut off, and the data is written out
	Immediate Mode = "immediate" // as in a crash; the next start recovers from the log
)

// portTries is how often a start looks for another port when the one that it found free is taken by another process
// before PostgreSQL listens.
const portTries = 5

// Restart halts the server and resumes it, on the same address and data.
func (s *Server) Restart(ctx context.Context, mode Mode) error {
	if err := s.Halt(ctx, mode); err != nil {
		return err
	}
	return s.Resume(ctx)
}

// Halt shuts PostgreSQL down and keeps its data, for Resume. Done is not closed by it. It returns once all of
// PostgreSQL's processes that a client could reach are gone.
func (s *Server) Halt(ctx context.Context, mode Mode) error {
	signal, ok := map[Mode]string{Fast: "INT", Immediate: "QUIT"}[mode]
	if !ok {
		return fmt.Errorf("halt PostgreSQL: unknown mode %q, want %q or %q", mode, Fast, Immediate)
	}
	s.mu.Lock()
	current, ended := s.current, s.ended
	s.halting = s.halting || !ended
	s.mu.Unlock()
	if ended {
		return errors.New("halt PostgreSQL: it has already ended")
	}
	s.supervisor.command(signal)
	select {
	case <-current.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("halt PostgreSQL: %w", context.Cause(ctx))
	case <-time.After(endBound):
		return fmt.Errorf("halt PostgreSQL: it did not end within %s", endBound)
	}
}

// Resume starts PostgreSQL again after Halt, on the same address and data, and returns once it accepts connections.
func (s *Server) Resume(ctx context.Context) error {
	s.mu.Lock()
	halted := s.halting && !s.ended
	if halted {
		select {
		case <-s.current.ended:
		default:
			halted = false
		}
	}
	s.mu.Unlock()
	if !halted {
		return errors.New("resume PostgreSQL: it was not halted")
	}
	return s.resume(ctx)
}

// resume starts PostgreSQL and waits for it. The first start on a port also chooses the port, which later starts keep.
func (s *Server) resume(ctx context.Context) error {
	choosePort := s.address.port == 0
	for try := 1; ; try++ {
		if choosePort {
			port, err := freePort()
			if err != nil {
				return err
			}
			s.address.port = port
		}
		// Until it is ready, its end is for this function to report, not for watch.
		s.mu.Lock()
		s.current, s.halting = s.supervisor.start(s.address.port), true
		current := s.current
		s.mu.Unlock()
		err := s.awaitReady(ctx, current)
		if err == nil {
			s.mu.Lock()
			s.halting = false
			s.mu.Unlock()
			s.watchers.Go(func() { s.watch(current) })
			return nil
		}
		if !choosePort || try == portTries || !strings.Contains(err.Error(), "Address already in use") {
			return err
		}
	}
}

// freePort returns a port that was free a moment ago.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
