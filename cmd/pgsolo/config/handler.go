package config

import (
	"context"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

func (doc *document) handler(found *hclsyntax.Block) body {
	handler := defaultHandler(label(found))
	var (
		election string
		chosen   actions
		log      = defaultLogHandler()
		start    = string(log.Start)
		order    = string(log.Order)
		onDead   = string(log.OnDead)
	)
	grammar := body{
		arguments: []argument{
			{name: "topic", decode: doc.text(&handler.Topic, doc.checkTopic)},
			{name: "channel", decode: doc.text(&handler.Channel, checkChannel)},
			{name: "election", decode: doc.text(&election, doc.checkElection)},
			{name: "start", decode: doc.text(&start, oneOf(string(eventlog.StartEarliest), string(eventlog.StartLatest)))},
			{name: "when", decode: doc.condition(&handler.When)},
			{name: "order", decode: doc.text(&order, oneOf(string(eventlog.OrderNone), string(eventlog.OrderKey)))},
			{name: "on_dead", decode: doc.text(&onDead, oneOf(string(eventlog.OnDeadContinue), string(eventlog.OnDeadBlockKey)))},
			{name: "concurrency", decode: doc.count(&handler.Concurrency)},
			{name: "rate_limit", decode: doc.rate(&handler.Rate)},
			{name: "timeout", decode: doc.duration(&handler.Timeout, positive)},
		},
		blocks: append([]block{
			{kind: "retry", single: true, open: func(found *hclsyntax.Block) body { return doc.retry(found, &log.Retry) }},
			{kind: "breaker", single: true, open: func(found *hclsyntax.Block) body { return doc.breaker(found, &log.Breaker) }},
		}, doc.actionBlocks(&chosen, unknownEvent())...),
	}
	grammar.finish = func() {
		doc.taken.add(&doc.decoder, found)
		doc.checkSource(found, grammar)
		doc.checkOnDead(found, eventlog.OnDead(onDead), eventlog.Order(order))
		action := doc.oneAction(found, chosen)
		if handler.Topic != "" {
			handler.Start, handler.Order, handler.OnDead = eventlog.Start(start), eventlog.Order(order), eventlog.OnDead(onDead)
			handler.Retry, handler.Breaker = log.Retry, log.Breaker
		}
		to := doc.electionOf(election)
		if action.needsSession() {
			doc.checkSessions(found, handler)
		}
		action.handle(&handler, to)
		to.Handlers = append(to.Handlers, handler)
	}
	return grammar
}

// handle makes the action what the handler does. One that needs a session gets that of the event's transaction, if there is one.
func (a *action) handle(handler *eventlog.Handler, in *Election) {
	if handler.Topic != "" && a.needsSession() {
		handler.HandleTx = func(ctx context.Context, tx pgx.Tx, event eventlog.Event) error {
			bound, err := a.resolve(in, func() scope { return eventScope(event) })
			if err != nil {
				return err
			}
			return bound.runTx()(ctx, tx)
		}
		return
	}
	in.NeedsSessions = in.NeedsSessions || a.needsSession()
	handler.Handle = func(ctx context.Context, event eventlog.Event) error {
		bound, err := a.resolve(in, func() scope { return eventScope(event) })
		if err != nil {
			return err
		}
		return bound.run()(ctx, event.Invocation())
	}
}

// maxSessions is how many sessions one handler may hold. PostgreSQL accepts 100 by default, of everybody.
const maxSessions = 32

// checkSessions bounds the workers of a handler each of which holds a session while it handles an event.
func (doc *document) checkSessions(found *hclsyntax.Block, handler eventlog.Handler) {
	attr, ok := found.Body.Attributes["concurrency"]
	if _, topic := found.Body.Attributes["topic"]; ok && topic && handler.Concurrency > maxSessions {
		doc.report("Invalid concurrency", attr.Expr.Range(), "Each statement that runs holds a session of PostgreSQL. "+
			"With the action sql, the argument concurrency is a whole number from 1 to %d.", maxSessions)
	}
}

// checkSource requires exactly one of topic and channel, and of a channel's handler nothing that only the log can do.
func (doc *document) checkSource(found *hclsyntax.Block, grammar body) {
	topic, hasTopic := found.Body.Attributes["topic"]
	channel, hasChannel := found.Body.Attributes["channel"]
	switch {
	case hasTopic && hasChannel:
		doc.report("Topic and channel", channel.NameRange,
			"%s takes its events from a topic or from a channel, not from both. Make two handlers of it.", describe(found)).
			Extra = related{"the topic", topic.SrcRange}
	case hasChannel:
		doc.refuseLogFeatures(found)
		if doc.silent != nil {
			doc.report("Channel without NOTIFY", channel.NameRange,
				"%s gets what producers send with NOTIFY, which postgres.notify turns off. Use a topic, or remove notify.", describe(found)).
				Extra = related{"notify", doc.silent.SrcRange}
		}
	case !hasTopic && !grammar.isMeant("topic", found.Body) && !grammar.isMeant("channel", found.Body):
		doc.report("No topic or channel", found.DefRange(), "%s does not say which events it gets. "+
			`Add topic = "…" for events of the log, or channel = "…" for a plain NOTIFY.`, describe(found))
	}
}

// refuseLogFeatures reports what has no meaning for messages that nobody keeps.
func (doc *document) refuseLogFeatures(found *hclsyntax.Block) {
	refuse := func(thing string, at hcl.Range) {
		doc.report("Not for a channel", at,
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
func (doc *document) checkOnDead(found *hclsyntax.Block, onDead eventlog.OnDead, order eventlog.Order) {
	attr, ok := found.Body.Attributes["on_dead"]
	if _, channel := found.Body.Attributes["channel"]; !ok || channel || onDead != eventlog.OnDeadBlockKey || order == eventlog.OrderKey {
		return
	}
	diag := doc.report("Invalid on_dead", attr.Expr.Range(),
		`A dead letter can hold up the later events of its key only where they are handled in order. Add order = "key".`)
	if other, ok := found.Body.Attributes["order"]; ok {
		diag.Extra = related{"the order", other.SrcRange}
	}
}
