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
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/listener"
)

// Build says what runs.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
}

// Options are where the answers come from. All but Hosts are required.
type Options struct {
	Elections []Election // at least one
	Listener  func() listener.Stats
	Build     Build
	Hosts     []string // by which requests may ask, beside IP addresses; empty: any
	Logger    hclog.Logger
}

// Election is one that this replica takes part in, and what it runs as its leader.
type Election struct {
	Status      func() election.Status
	Stats       func() election.Stats
	Events      func() eventlog.Stats
	Crons       func() []cron.Stats
	Fingerprint string        // of this replica's configuration
	Fresh       time.Duration // how long after the database's last answer this replica counts as ready
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
	mux.HandleFunc("GET /livez", s.check(s.live))
	mux.HandleFunc("GET /readyz", s.check(s.ready, s.warnings))
	mux.HandleFunc("GET /leader", s.check(s.inRole(election.Leader)))
	mux.HandleFunc("GET /standby", s.check(s.inRole(election.Standby)))
	mux.HandleFunc("GET /v1/status", s.status)
	mux.Handle("GET /metrics", promhttp.HandlerFor(newRegistry(options), promhttp.HandlerOpts{}))
	s.server = http.Server{
		Handler: guard(options.Hosts, mux), MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, ConnState: newBound(maxFiles()).changed,
		ErrorLog: options.Logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
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

// check answers 200, with what else there is to say, or 503, with the reason in the body.
func (s *Server) check(is func(*http.Request) error, also ...func() []string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := is(r); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
		for _, say := range also {
			for _, line := range say() {
				fmt.Fprintln(w, line)
			}
		}
	}
}

// warnings are what keeps no election from its work, but is not right.
func (s *Server) warnings() (all []string) {
	for _, e := range s.options.Elections {
		status := e.Status()
		for _, warning := range warningsOf(status) {
			all = append(all, fmt.Sprintf("election %q: %s", status.Election, warning))
		}
	}
	return all
}

func warningsOf(status election.Status) (all []string) {
	if status.Denied != "" {
		all = append(all, status.Denied)
	}
	if ahead := status.ClockAhead; ahead.Abs() > election.ClockTolerance {
		where := "ahead of"
		if ahead < 0 {
			where = "behind"
		}
		all = append(all, fmt.Sprintf("this machine's clock is %s %s the database's, and cron jobs follow it: "+
			"set the clocks right", ahead.Abs().Round(time.Second), where))
	}
	return all
}

// live and ready ask every election.
func (s *Server) live(*http.Request) error {
	for _, e := range s.options.Elections {
		status := e.Status()
		if due := status.AliveUntil; !due.IsZero() && time.Now().After(due) {
			return fmt.Errorf("the loop of election %q should have reported %s ago", status.Election, ago(due))
		}
	}
	return nil
}

func (s *Server) ready(*http.Request) error {
	for _, e := range s.options.Elections {
		switch status := e.Status(); {
		case status.SeenAt.IsZero():
			return fmt.Errorf("election %q: the database has not answered yet", status.Election)
		case time.Since(status.SeenAt) > e.Fresh:
			return fmt.Errorf("election %q: the database has not answered for %s", status.Election, ago(status.SeenAt))
		case status.Denied != "":
			return fmt.Errorf("election %q: %s", status.Election, status.Denied)
		case status.Role == election.Outside:
			return fmt.Errorf("election %q: neither leader nor standby", status.Election)
		}
	}
	return nil
}

func ago(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }

// inRole asks the election that the query names, or else the first.
func (s *Server) inRole(want election.Role) func(*http.Request) error {
	return func(r *http.Request) error {
		name := r.URL.Query().Get("election")
		for _, e := range s.options.Elections {
			status := e.Status()
			if name != "" && status.Election != name {
				continue
			}
			if status.Role != want {
				return fmt.Errorf("%s, not %s", status.Role, want)
			}
			return nil
		}
		return fmt.Errorf("there is no election %q", name)
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

	// Fingerprint is that of this replica's configuration, and LeaderFingerprint of the leader's.
	Fingerprint       string `json:"fingerprint,omitempty"`
	LeaderFingerprint string `json:"leader_fingerprint,omitempty"`

	Warnings   []string         `json:"warnings,omitempty"`
	Held       []heldBody       `json:"held,omitempty"`       // on the leader
	Undeclared []undeclaredBody `json:"undeclared,omitempty"` // likewise
}

// heldBody is a handler or a cron job that waits for another election.
type heldBody struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	By     string `json:"by"` // the election that has the name
	Remedy string `json:"remedy"`
}

// undeclaredBody is what no leader declares, and is held back for it.
type undeclaredBody struct {
	Kind       string    `json:"kind"`
	Name       string    `json:"name"`
	Topic      string    `json:"topic,omitempty"`
	Since      time.Time `json:"since"`
	Rows       int64     `json:"rows"`
	OrMore     bool      `json:"or_more,omitempty"`
	Bytes      int64     `json:"bytes"`
	Deliveries int64     `json:"deliveries,omitempty"`
	Remedy     string    `json:"remedy"`
}

// statusBody is the first election, and all of them.
type statusBody struct {
	electionBody
	Elections []electionBody `json:"elections"`
	Build     Build          `json:"build"`
}

const heldRemedy = "give it another name, or give each application a schema of its own"

// held is what the leader holds back for another election, and for what no leader declares.
func (e Election) held() (held []heldBody, undeclared []undeclaredBody) {
	events := e.Events()
	for _, h := range events.Handlers {
		if h.HeldBy != "" {
			held = append(held, heldBody{"handler", h.Name, h.HeldBy, heldRemedy})
		}
	}
	for _, j := range e.Crons() {
		if j.HeldBy != "" {
			held = append(held, heldBody{"cron", j.Name, j.HeldBy, heldRemedy})
		}
	}
	for _, u := range events.HeldBack {
		undeclared = append(undeclared, undeclaredBody{
			u.Kind, u.Name, u.Topic, u.Since, u.Rows, u.OrMore, u.Bytes, u.Deliveries, u.Remedy,
		})
	}
	return held, undeclared
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	body := statusBody{Build: s.options.Build}
	for _, of := range s.options.Elections {
		status := of.Status()
		e := electionBody{
			Election: status.Election, Role: status.Role, Term: status.Term.Number, Timeline: status.Term.Timeline,
			Holder: status.Holder, Address: status.Address,
			Fingerprint: of.Fingerprint, LeaderFingerprint: status.Fingerprint,
		}
		if status.Term.Number > 0 {
			e.Since = &status.Since
		}
		if !status.SeenAt.IsZero() {
			e.SeenAt = &status.SeenAt
		}
		e.Warnings = warningsOf(status)
		e.Held, e.Undeclared = of.held()
		body.Elections = append(body.Elections, e)
	}
	body.electionBody = body.Elections[0]
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(body) // the client has gone
}
