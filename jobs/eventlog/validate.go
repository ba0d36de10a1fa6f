package eventlog

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/retention"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// withDefaults checks the options but for their handlers, and fills in what was left out.
func (o Options) withDefaults() (Options, error) {
	wrong := func(format string, args ...any) (Options, error) {
		return o, fmt.Errorf("jobs: "+format, args...)
	}
	if o.Schema == "" {
		o.Schema = jobs.DefaultSchema
	}
	if o.Group == "" {
		o.Group = "main"
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	switch {
	case o.Pool == nil:
		return wrong("Pool is required")
	case pg.GivesText(o.Pool):
		return wrong("Pool: its DefaultQueryExecMode is exec or simple_protocol; want another one")
	case !pg.SchemaName.MatchString(o.Schema):
		return wrong("Schema %q: want lower-case letters, digits and underscores, at most 40", o.Schema)
	case text.Check(o.Group) != nil:
		return wrong("Group has %w", text.Check(o.Group))
	}
	names := map[string]bool{}
	for i, t := range o.Topics {
		switch {
		case t.Name == "":
			return wrong("Topics[%d]: Name is required", i)
		case text.Check(t.Name) != nil:
			return wrong("Topics[%d]: Name has %w", i, text.Check(t.Name))
		case names[t.Name]:
			return wrong("two topics are named %q", t.Name)
		case t.Retention < 0:
			return wrong("topic %q: Retention %s is negative", t.Name, t.Retention)
		case t.MaxPayload != 0 && t.MaxPayload < 16<<20:
			return wrong("topic %q: MaxPayload %d is below 16777216, which every topic may have", t.Name, t.MaxPayload)
		}
		names[t.Name] = true
	}
	return o, nil
}

// WithDefaults fills in what was left out. What is wrong stays as it is: New refuses it.
func (h Handler) WithDefaults() Handler {
	h.Concurrency = cmp.Or(h.Concurrency, 1)
	h.Timeout = cmp.Or(h.Timeout, 30*time.Second)
	h.Rate = h.Rate.WithDefaults()
	if h.Channel != "" {
		return h
	}
	if h.HandleTx != nil {
		h.Batch = cmp.Or(h.Batch, 1)
	}
	h.Start = cmp.Or(h.Start, StartEarliest)
	h.Order = cmp.Or(h.Order, OrderNone)
	h.OnDead = cmp.Or(h.OnDead, OnDeadContinue)
	h.Retry, h.Breaker = h.Retry.WithDefaults(), h.Breaker.WithDefaults()
	return h
}

// check names the handler and the field that is wrong. It is for a handler with its defaults.
func (h Handler) check() error {
	err := h.checkKind()
	if err == nil && h.Channel != "" {
		err = h.checkChannel()
	}
	if err == nil {
		err = h.checkPace()
	}
	if err == nil && h.Channel == "" {
		err = h.checkTopic()
	}
	if err != nil {
		return fmt.Errorf("jobs: handler %q: %w", h.Name, err)
	}
	return nil
}

// checkKind checks what the handler is and where its events come from.
func (h Handler) checkKind() error {
	switch {
	case h.Name == "":
		return jobs.NewFieldError("Name", "is required")
	case text.Check(h.Name) != nil:
		return jobs.NewFieldError("Name", "has %w", text.Check(h.Name))
	case h.Handle == nil && h.HandleTx == nil:
		return jobs.NewFieldError("Handle", "or HandleTx is required")
	case h.Handle != nil && h.HandleTx != nil:
		return jobs.NewFieldError("Handle", "and HandleTx are both set: want one of them")
	case (h.Topic == "") == (h.Channel == ""):
		return fmt.Errorf("want one of Topic and Channel, got %q and %q", h.Topic, h.Channel)
	case h.Topic == retention.AnyTopic:
		return jobs.NewFieldError("Topic", "%q is no name of a topic", h.Topic)
	case text.Check(h.Topic) != nil:
		return jobs.NewFieldError("Topic", "has %w", text.Check(h.Topic))
	case text.Check(h.Channel) != nil:
		return jobs.NewFieldError("Channel", "has %w", text.Check(h.Channel))
	}
	return nil
}

// checkChannel refuses what has no meaning for messages of which no copy is kept.
func (h Handler) checkChannel() error {
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"HandleTx", h.HandleTx != nil},
		{"Batch", h.Batch != 0},
		{"Start", h.Start != ""},
		{"Order", h.Order != ""},
		{"OnDead", h.OnDead != ""},
		{"Retry", h.Retry != jobs.Retry{}},
		{"Breaker", h.Breaker != jobs.Breaker{}},
	} {
		if field.set {
			return jobs.NewFieldError(field.name, "needs Topic: it does not apply to Channel")
		}
	}
	return nil
}

// checkPace checks how many attempts there are at a time, and how fast.
func (h Handler) checkPace() error {
	switch {
	case h.Concurrency < 0:
		return jobs.NewFieldError("Concurrency", "%d is negative", h.Concurrency)
	case h.Timeout < 0:
		return jobs.NewFieldError("Timeout", "%s is negative", h.Timeout)
	}
	return h.Rate.Check()
}

// checkTopic checks what only events of the log have.
func (h Handler) checkTopic() error {
	switch {
	case h.Batch < 0:
		return jobs.NewFieldError("Batch", "%d is negative", h.Batch)
	case h.Batch > 0 && h.HandleTx == nil:
		return jobs.NewFieldError("Batch", "needs HandleTx")
	case h.Start != StartEarliest && h.Start != StartLatest:
		return jobs.NewFieldError("Start", "%q: want %q or %q", h.Start, StartEarliest, StartLatest)
	case h.Order != OrderNone && h.Order != OrderKey:
		return jobs.NewFieldError("Order", "%q: want %q or %q", h.Order, OrderNone, OrderKey)
	case h.OnDead != OnDeadContinue && h.OnDead != OnDeadBlockKey:
		return jobs.NewFieldError("OnDead", "%q: want %q or %q", h.OnDead, OnDeadContinue, OnDeadBlockKey)
	case h.OnDead == OnDeadBlockKey && h.Order != OrderKey:
		return jobs.NewFieldError("OnDead", "%q needs Order %q", h.OnDead, OrderKey)
	}
	if err := h.Retry.Check(); err != nil {
		return err
	}
	return h.Breaker.Check()
}
