package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/listener"
)

// Build says what runs.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
}

// Options are where the answers come from. All are required.
type Options struct {
	Status   func() election.Status
	Jobs     func() jobs.Stats
	Listener func() listener.Stats
	Build    Build
	Fresh    time.Duration // how long after the database's last answer a replica counts as ready
	Logger   hclog.Logger
}

// Server answers.
type Server struct {
	options Options
	server  http.Server
}

// New makes a server that does not listen yet.
func New(options Options) *Server {
	s := &Server{options: options}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.check(live))
	mux.HandleFunc("GET /readyz", s.check(ready(options.Fresh)))
	mux.HandleFunc("GET /leader", s.check(inRole(election.Leader)))
	mux.HandleFunc("GET /standby", s.check(inRole(election.Standby)))
	mux.HandleFunc("GET /v1/status", s.status)
	mux.Handle("GET /metrics", promhttp.HandlerFor(newRegistry(options), promhttp.HandlerOpts{}))
	s.server = http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute,
		ErrorLog:    options.Logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	return s
}

// Serve answers on the socket until Shutdown, and closes it. Then it returns nil.
func (s *Server) Serve(socket net.Listener) error {
	if err := s.server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// Shutdown lets the answers under way finish, for a second, and then cuts them off.
func (s *Server) Shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		s.server.Close()
	}
}

// check answers 200 or 503, with the reason in the body.
func (s *Server) check(is func(election.Status, time.Time) error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := is(s.options.Status(), time.Now()); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}

func live(status election.Status, now time.Time) error {
	if due := status.AliveUntil; !due.IsZero() && now.After(due) {
		return fmt.Errorf("the election loop should have reported %s ago", now.Sub(due).Round(time.Millisecond))
	}
	return nil
}

func ready(fresh time.Duration) func(election.Status, time.Time) error {
	return func(status election.Status, now time.Time) error {
		switch {
		case status.SeenAt.IsZero():
			return errors.New("the database has not answered yet")
		case now.Sub(status.SeenAt) > fresh:
			return fmt.Errorf("the database has not answered for %s", now.Sub(status.SeenAt).Round(time.Millisecond))
		case status.Role == election.Outside:
			return errors.New("neither leader nor standby")
		}
		return nil
	}
}

func inRole(want election.Role) func(election.Status, time.Time) error {
	return func(status election.Status, _ time.Time) error {
		if status.Role != want {
			return fmt.Errorf("%s, not %s", status.Role, want)
		}
		return nil
	}
}

// statusBody is the answer of /v1/status. Holder, address, since and term are the leader's.
type statusBody struct {
	Election string        `json:"election"`
	Role     election.Role `json:"role"`
	Term     int64         `json:"term"`
	Timeline int32         `json:"timeline"`
	Holder   string        `json:"holder"`
	Address  string        `json:"address,omitempty"`
	Since    *time.Time    `json:"since,omitempty"`
	SeenAt   *time.Time    `json:"seen_at,omitempty"`
	Build    Build         `json:"build"`
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	status := s.options.Status()
	body := statusBody{
		Election: status.Election, Role: status.Role, Term: status.Term.Number, Timeline: status.Term.Timeline,
		Holder: status.Holder, Address: status.Address, Build: s.options.Build,
	}
	if status.Term.Number > 0 {
		body.Since = &status.Since
	}
	if !status.SeenAt.IsZero() {
		body.SeenAt = &status.SeenAt
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(body) // the client has gone
}
