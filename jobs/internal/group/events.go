package group

import (
	"slices"
	"time"
)

// Events is what a leader declares of the event log.
type Events struct {
	Topics   map[string]int64   `json:"topics"`   // their retention in microseconds, 0 for ever; "*" is any other one
	Handlers map[string]Handler `json:"handlers"` // of topics

	// The bytes that an event of a topic may take, where it has a limit of its own: pgsolo.max_payload reads them.
	MaxPayloads map[string]int64 `json:"max_payloads,omitempty"`
}

// Handler is what a leader declares of one.
type Handler struct {
	Topic    string `json:"topic"`
	Revision string `json:"revision,omitempty"`
}

// AddTopic adds a topic with what is kept of it and with the bytes of an event, 0 for the default.
func (e *Events) AddTopic(topic string, kept time.Duration, maxPayload int64) {
	e.Topics[topic] = kept.Microseconds()
	if maxPayload > 0 {
		if e.MaxPayloads == nil {
			e.MaxPayloads = map[string]int64{}
		}
		e.MaxPayloads[topic] = maxPayload
	}
}

// Retention is how long this configuration keeps a topic; 0 is for ever. said is false where it says nothing of it: it
// names neither the topic nor "*", and has no handler of it.
func (e Events) Retention(topic string) (kept time.Duration, said bool) {
	if kept, said = e.named(topic); said {
		return kept, true
	}
	if kept, said = e.named("*"); said {
		return kept, true
	}
	for _, h := range e.Handlers {
		if h.Topic == topic {
			return 0, true
		}
	}
	return 0, false
}

// Accepted are the topics that producers may use; nil stands for any.
func (e Events) Accepted() []string {
	names := make([]string, 0, len(e.Topics)+len(e.Handlers))
	for topic := range e.Topics {
		if topic == "*" {
			return nil
		}
		names = append(names, topic)
	}
	for _, h := range e.Handlers {
		names = append(names, h.Topic)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (e Events) named(topic string) (kept time.Duration, is bool) {
	micros, is := e.Topics[topic]
	return time.Duration(micros) * time.Microsecond, is
}

// Longest is what of each topic counts, and under "*" of each other one: the longest retention that this configuration,
// a recent one of the same group (own), or one of another group that names the very topic (others) has for it.
func (e Events) Longest(own, others []Events) map[string]time.Duration {
	names := map[string]bool{"*": true}
	for _, all := range [][]Events{{e}, own, others} {
		for _, c := range all {
			for topic := range c.Topics {
				names[topic] = true
			}
			for _, h := range c.Handlers {
				names[h.Topic] = true
			}
		}
	}
	longest := map[string]time.Duration{}
	for topic := range names {
		kept, said := e.Retention(topic)
		if !said {
			kept = 0 // nothing of it is deleted
		}
		for _, c := range own {
			if other, said := c.Retention(topic); said {
				kept = longer(kept, other)
			}
		}
		for _, c := range others {
			if other, said := c.named(topic); said {
				kept = longer(kept, other)
			}
		}
		longest[topic] = kept
	}
	return longest
}

// longer returns the longer one of two retentions.
func longer(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}
