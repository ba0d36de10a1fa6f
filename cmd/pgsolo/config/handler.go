package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

func (doc *document) handler(found *hclsyntax.Block) block.Body {
	handler := Handler{Handler: eventlog.Handler{Name: block.Label(found)}}
	var (
		election string
		actions  []*action
	)
	grammar := block.Body{
		Arguments: []block.Argument{
			{Name: "topic", Value: block.String(&handler.Topic, doc.checkTopic)},
			{Name: "channel", Value: block.String(&handler.Channel, checkChannel)},
			{Name: "election", Value: block.String(&election, doc.checkElection)},
			{Name: "start", Value: block.Word(&handler.Start, eventlog.StartEarliest, eventlog.StartLatest)},
			{Name: "when", Value: doc.condition(&handler.when)},
			{Name: "order", Value: block.Word(&handler.Order, eventlog.OrderNone, eventlog.OrderKey)},
			{Name: "on_dead", Value: block.Word(&handler.OnDead, eventlog.OnDeadContinue, eventlog.OnDeadBlockKey)},
			{Name: "concurrency", Value: block.Count(&handler.Concurrency)},
			{Name: "rate_limit", Value: rate(&handler.Rate)},
			{Name: "timeout", Value: block.Duration(&handler.Timeout, block.Positive)},
		},
		Blocks: append([]block.Block{
			{Kind: "retry", Single: true, Open: func(found *hclsyntax.Block) block.Body {
				return doc.retry(found, &handler.Retry)
			}},
			{Kind: "breaker", Single: true, Open: func(found *hclsyntax.Block) block.Body {
				return doc.breaker(found, &handler.Breaker)
			}},
		}, doc.actionBlocks(&actions, unknownEvent())...),
	}
	grammar.Finish = func() {
		handler.Handler = handler.WithDefaults()
		handler.Revision = block.Fingerprint(doc.src, found)
		doc.taken.Add(doc.Decoder, found)
		doc.checkSource(found, grammar)
		doc.checkOnDead(found, handler.Handler)
		handler.action = doc.oneAction(found, grammar, actions)
		to := doc.electionOf(election)
		if handler.action.needsSession() {
			doc.checkSessions(found, handler.Handler)
			handler.InTransaction = handler.Topic != ""
			to.NeedsSessions = to.NeedsSessions || !handler.InTransaction
		}
		to.Handlers = append(to.Handlers, handler)
	}
	return grammar
}

// maxSessions is how many sessions one handler may hold. PostgreSQL accepts 100 by default, of all its clients.
const maxSessions = 32

// checkSessions bounds the workers of a handler each of which holds a session while it handles an event.
func (doc *document) checkSessions(found *hclsyntax.Block, handler eventlog.Handler) {
	attr, ok := found.Body.Attributes["concurrency"]
	if _, topic := found.Body.Attributes["topic"]; ok && topic && handler.Concurrency > maxSessions {
		doc.Report("Invalid concurrency", attr.Expr.Range(), "Each statement that runs holds a session of PostgreSQL. "+
			"With the action sql, the argument concurrency is a whole number from 1 to %d.", maxSessions)
	}
}

// checkSource requires exactly one of topic and channel, and of a channel's handler nothing that only the log can do.
func (doc *document) checkSource(found *hclsyntax.Block, grammar block.Body) {
	topic, hasTopic := found.Body.Attributes["topic"]
	channel, hasChannel := found.Body.Attributes["channel"]
	switch {
	case hasTopic && hasChannel:
		doc.Report("Topic and channel", channel.NameRange,
			"%s takes its events from a topic or from a channel, not from both. Make two handlers of it.",
			block.Describe(found)).
			Extra = block.Related("the topic", topic.SrcRange)
	case hasChannel:
		doc.refuseLogFeatures(found)
		if doc.silent != nil {
			doc.Report("Channel without NOTIFY", channel.NameRange,
				"%s gets what producers send with NOTIFY, which postgres.notify turns off. Use a topic, or remove "+
					"notify.", block.Describe(found)).
				Extra = block.Related("notify", doc.silent.SrcRange)
		}
	case !hasTopic && !grammar.IsMeant("topic", found.Body) && !grammar.IsMeant("channel", found.Body):
		doc.Report("No topic or channel", found.DefRange(), "%s does not say which events it gets. "+
			`Add topic = "…" for events of the log, or channel = "…" for a plain NOTIFY.`, block.Describe(found))
	}
}

// refuseLogFeatures reports what has no meaning for messages that are not stored.
func (doc *document) refuseLogFeatures(found *hclsyntax.Block) {
	refuse := func(thing string, at hcl.Range) {
		doc.Report("Not for a channel", at,
			"A plain NOTIFY is stored nowhere, and attempted once. Remove the %s, or use a topic.", thing)
	}
	for _, name := range []string{"start", "order", "on_dead"} {
		if attr, ok := found.Body.Attributes[name]; ok {
			refuse("argument", attr.NameRange)
		}
	}
	for _, inner := range found.Body.Blocks {
		if inner.Type == "retry" || inner.Type == "breaker" {
			refuse("block", inner.DefRange())
		}
	}
}

// checkOnDead refuses to block a key of a handler for which keys mean nothing.
func (doc *document) checkOnDead(found *hclsyntax.Block, handler eventlog.Handler) {
	attr, ok := found.Body.Attributes["on_dead"]
	_, channel := found.Body.Attributes["channel"]
	if !ok || channel || handler.OnDead != eventlog.OnDeadBlockKey || handler.Order == eventlog.OrderKey {
		return
	}
	diag := doc.Report("Invalid on_dead", attr.Expr.Range(),
		`A dead letter can hold up the later events of its key only where they are handled in order. Add order = `+
			`"key".`)
	if other, ok := found.Body.Attributes["order"]; ok {
		diag.Extra = block.Related("the order", other.SrcRange)
	}
}
