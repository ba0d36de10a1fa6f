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
	Elections []Election // at least one
	Build     Build
	Fresh     time.Duration // how long after the database's last answer a replica counts as ready
	Logger    hclog.Logger
}

// Election is one that this replica takes part in, and what it runs as its leader.
type Election struct {
	Status   func() election.Status
	Stats    func() election.Stats
	Jobs     func() jobs.Stats
	Listener func() listener.Stats
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
	mux.HandleFunc("GET /livez", s.check(everywhere(live)))
	mux.HandleFunc("GET /readyz", s.check(everywhere(ready(options.Fresh))))
	mux.HandleFunc("GET /leader", s.check(named(inRole(election.Leader))))
	mux.HandleFunc("GET /standby", s.check(named(inRole(election.Standby))))
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
func (s *Server) check(is func(*http.Request, []election.Status) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := is(r, s.statuses()); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}

func (s *Server) statuses() []election.Status {
	var all []election.Status
	for _, e := range s.options.Elections {
		all = append(all, e.Status())
	}
	return all
}

// condition is what a check asks of one election.
type condition func(election.Status, time.Time) error

// everywhere asks it of every election.
func everywhere(is condition) func(*http.Request, []election.Status) error {
	return func(_ *http.Request, all []election.Status) error {
		for _, status := range all {
			if err := is(status, time.Now()); err != nil {
				return fmt.Errorf("election %q: %w", status.Election, err)
			}
		}
		return nil
	}
}

// named asks it of the election that the query names, or else of the first.
func named(is condition) func(*http.Request, []election.Status) error {
	return func(r *http.Request, all []election.Status) error {
		name := r.URL.Query().Get("election")
		for _, status := range all {
			if name == "" || status.Election == name {
				return is(status, time.Now())
			}
		}
		return fmt.Errorf("there is no election %q", name)
	}
}

func live(status election.Status, now time.Time) error {
	if due := status.AliveUntil; !due.IsZero() && now.After(due) {
		return fmt.Errorf("the election loop should have reported %s ago", now.Sub(due).Round(time.Millisecond))
	}
	return nil
}

func ready(fresh time.Duration) condition {
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

func inRole(want election.Role) condition {
	return func(status election.Status, _ time.Time) error {
		if status.Role != want {
			return fmt.Errorf("%s, not %s", status.Role, want)
		}
		return nil
	}
}

// electionBody is one election in the answer of /v1/status. Holder, address, since and term are the leader's.
type electionBody struct {
	Election string        `json:"election"`
	Role     election.Role `json:"role"`
	Term     int64         `json:"term"`
	Timeline int32         `json:"timeline"`
	Holder   string        `json:"holder"`
	Address  string        `json:"address,omitempty"`
	Since    *time.Time    `json:"since,omitempty"`
	SeenAt   *time.Time    `json:"seen_at,omitempty"`
}

// statusBody is the first election, and all of them.
type statusBody struct {
	electionBody
	Elections []electionBody `json:"elections"`
	Build     Build          `json:"build"`
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	body := statusBody{Build: s.options.Build}
	for _, status := range s.statuses() {
		e := electionBody{
			Election: status.Election, Role: status.Role, Term: status.Term.Number, Timeline: status.Term.Timeline,
			Holder: status.Holder, Address: status.Address,
		}
		if status.Term.Number > 0 {
			e.Since = &status.Since
		}
		if !status.SeenAt.IsZero() {
			e.SeenAt = &status.SeenAt
		}
		body.Elections = append(body.Elections, e)
	}
	body.electionBody = body.Elections[0]
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(body) // the client has gone
}
