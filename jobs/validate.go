package jobs

import (
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
)

// withDefaults checks the options but for their handlers and cron jobs, and fills in what was left out.
func (o Options) withDefaults() (Options, error) {
	wrong := func(format string, args ...any) (Options, error) {
		return o, fmt.Errorf("jobs: "+format, args...)
	}
	if o.Schema == "" {
		o.Schema = DefaultSchema
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
	case !schemaName.MatchString(o.Schema):
		return wrong("Schema %q: want lower-case letters, digits and underscores, at most 40", o.Schema)
	case checkText(o.Group) != nil:
		return wrong("Group has %w", checkText(o.Group))
	case len(o.Handlers)+len(o.Crons) == 0:
		return wrong("neither Handlers nor Crons: there is nothing to run")
	}
	names := map[string]bool{}
	for i, t := range o.Topics {
		switch {
		case t.Name == "":
			return wrong("Topics[%d]: Name is required", i)
		case checkText(t.Name) != nil:
			return wrong("Topics[%d]: Name has %w", i, checkText(t.Name))
		case names[t.Name]:
			return wrong("two topics are named %q", t.Name)
		case t.Retention < 0:
			return wrong("topic %q: Retention %s is negative", t.Name, t.Retention)
		}
		names[t.Name] = true
	}
	return o, nil
}

// withDefaults checks the handler and fills in what was left out.
func (h Handler) withDefaults() (Handler, error) {
	err := h.checkKind()
	if err == nil && h.Channel != "" {
		err = h.checkChannel()
	}
	if err == nil {
		err = h.checkPace()
	}
	if err == nil {
		h = h.withPaceDefaults()
		if h.Channel == "" {
			h, err = h.withTopicDefaults()
		}
	}
	if err != nil {
		return h, fmt.Errorf("jobs: handler %q: %w", h.Name, err)
	}
	return h, nil
}

// checkKind checks what the handler is and where its events come from.
func (h Handler) checkKind() error {
	switch {
	case h.Name == "":
		return wrong("Name", "is required")
	case checkText(h.Name) != nil:
		return wrong("Name", "has %w", checkText(h.Name))
	case h.Handle == nil && h.HandleTx == nil:
		return wrong("Handle", "or HandleTx is required")
	case h.Handle != nil && h.HandleTx != nil:
		return wrong("Handle", "and HandleTx are both set: want one of them")
	case (h.Topic == "") == (h.Channel == ""):
		return fmt.Errorf("want one of Topic and Channel, got %q and %q", h.Topic, h.Channel)
	case h.Topic == anyTopic:
		return wrong("Topic", "%q is no name of a topic", h.Topic)
	case checkText(h.Topic) != nil:
		return wrong("Topic", "has %w", checkText(h.Topic))
	case checkText(h.Channel) != nil:
		return wrong("Channel", "has %w", checkText(h.Channel))
	}
	return nil
}

// checkChannel refuses what has no meaning for messages that nobody keeps.
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
		{"Retry", h.Retry != Retry{}},
		{"Breaker", h.Breaker != Breaker{}},
	} {
		if field.set {
			return wrong(field.name, "needs Topic: it does not apply to Channel")
		}
	}
	return nil
}

// checkPace checks how many attempts there are at a time, and how fast.
func (h Handler) checkPace() error {
	switch {
	case h.Concurrency < 0:
		return wrong("Concurrency", "%d is negative", h.Concurrency)
	case h.Timeout < 0:
		return wrong("Timeout", "%s is negative", h.Timeout)
	case h.Rate.Events < 0:
		return wrong("Rate.Events", "%d is negative", h.Rate.Events)
	case h.Rate.Per < 0:
		return wrong("Rate.Per", "%s is negative", h.Rate.Per)
	case h.Rate.Events == 0 && h.Rate.Per > 0:
		return wrong("Rate.Per", "needs Rate.Events")
	}
	return nil
}

func (h Handler) withPaceDefaults() Handler {
	orElse(&h.Concurrency, 1)
	orElse(&h.Timeout, 30*time.Second)
	if h.Rate.Events > 0 {
		orElse(&h.Rate.Per, time.Second)
	}
	return h
}

// withTopicDefaults is about what only events of the log have.
func (h Handler) withTopicDefaults() (Handler, error) {
	switch {
	case h.Batch < 0:
		return h, wrong("Batch", "%d is negative", h.Batch)
	case h.Batch > 0 && h.HandleTx == nil:
		return h, wrong("Batch", "needs HandleTx")
	}
	if h.HandleTx != nil {
		orElse(&h.Batch, 1)
	}
	orElse(&h.Start, StartEarliest)
	orElse(&h.Order, OrderNone)
	orElse(&h.OnDead, OnDeadContinue)
	switch {
	case h.Start != StartEarliest && h.Start != StartLatest:
		return h, wrong("Start", "%q: want %q or %q", h.Start, StartEarliest, StartLatest)
	case h.Order != OrderNone && h.Order != OrderKey:
		return h, wrong("Order", "%q: want %q or %q", h.Order, OrderNone, OrderKey)
	case h.OnDead != OnDeadContinue && h.OnDead != OnDeadBlockKey:
		return h, wrong("OnDead", "%q: want %q or %q", h.OnDead, OnDeadContinue, OnDeadBlockKey)
	case h.OnDead == OnDeadBlockKey && h.Order != OrderKey:
		return h, wrong("OnDead", "%q needs Order %q", h.OnDead, OrderKey)
	}
	var err error
	if h.Retry, err = h.Retry.withDefaults(); err == nil {
		h.Breaker, err = h.Breaker.withDefaults()
	}
	return h, err
}

func (r Retry) withDefaults() (Retry, error) {
	orElse(&r.Attempts, 10)
	orElse(&r.Backoff, time.Second)
	orElse(&r.MaxBackoff, max(time.Hour, r.Backoff))
	orElse(&r.Jitter, 0.1)
	switch {
	case r.Attempts < 0:
		return r, wrong("Retry.Attempts", "%d is negative", r.Attempts)
	case r.Backoff < 0:
		return r, wrong("Retry.Backoff", "%s is negative", r.Backoff)
	case r.MaxBackoff < r.Backoff:
		return r, wrong("Retry.MaxBackoff", "%s is less than Backoff %s", r.MaxBackoff, r.Backoff)
	case !(r.Jitter < 1):
		return r, wrong("Retry.Jitter", "%g: want a fraction below 1", r.Jitter)
	}
	return r, nil
}

func (b Breaker) withDefaults() (Breaker, error) {
	if b.Failures == 0 && (b.Pause != 0 || b.MaxPause != 0) {
		return b, wrong("Breaker.Pause", "and Breaker.MaxPause need Breaker.Failures")
	}
	if b.Failures > 0 {
		orElse(&b.Pause, time.Second)
		orElse(&b.MaxPause, max(time.Minute, b.Pause))
	}
	switch {
	case b.Failures < 0:
		return b, wrong("Breaker.Failures", "%d is negative", b.Failures)
	case b.Pause < 0:
		return b, wrong("Breaker.Pause", "%s is negative", b.Pause)
	case b.MaxPause < b.Pause:
		return b, wrong("Breaker.MaxPause", "%s is less than Pause %s", b.MaxPause, b.Pause)
	}
	return b, nil
}

// orElse gives a field that was left out its default.
func orElse[T comparable](field *T, otherwise T) {
	var zero T
	if *field == zero {
		*field = otherwise
	}
}

// wrong is an error about one field.
func wrong(field, format string, args ...any) error { return NewFieldError(field, format, args...) }
