package config

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/jobs"
)

func (doc *document) topic(found *hclsyntax.Block) body {
	return body{finish: func() {
		if doc.taken.add(&doc.decoder, found) {
			doc.config.Topics = append(doc.config.Topics, label(found))
		}
	}}
}

func (doc *document) handler(found *hclsyntax.Block) body {
	handler := defaultHandler(label(found))
	var election string
	retry := defaultRetry()
	var chosen actions
	grammar := body{
		arguments: []argument{
			{name: "topic", decode: doc.text(&handler.Topic, doc.checkTopic)},
			{name: "channel", decode: doc.text(&handler.Channel, checkChannel)},
			{name: "election", decode: doc.text(&election, doc.checkElection)},
			{name: "concurrency", decode: doc.count(&handler.Concurrency)},
			{name: "timeout", decode: doc.duration(&handler.Timeout, positive)},
		},
		blocks: append([]block{
			{kind: "retry", single: true, open: func(found *hclsyntax.Block) body { return doc.retry(found, &retry) }},
		}, doc.actionBlocks(&chosen, unknownEvent())...),
	}
	grammar.finish = func() {
		doc.taken.add(&doc.decoder, found)
		doc.checkSource(found, grammar)
		action := doc.oneAction(found, chosen)
		if handler.Topic != "" {
			handler.Retry = retry
		}
		handler.Handle = func(ctx context.Context, event jobs.Event) error {
			run, err := action.resolve(doc.config.ActionLogger, func() scope { return eventScope(event) })
			if err != nil {
				return err
			}
			return run(ctx, event.Invocation())
		}
		to := doc.electionOf(election)
		to.Handlers = append(to.Handlers, handler)
	}
	return grammar
}

func (doc *document) retry(found *hclsyntax.Block, to *jobs.Retry) body {
	return body{
		arguments: []argument{
			{name: "attempts", decode: doc.count(&to.Attempts)},
			{name: "backoff", decode: doc.duration(&to.Backoff, positive)},
			{name: "max_backoff", decode: doc.duration(&to.MaxBackoff, positive)},
		},
		finish: func() {
			limit, ok := found.Body.Attributes["max_backoff"]
			switch {
			case to.MaxBackoff >= to.Backoff:
			case !ok:
				to.MaxBackoff = to.Backoff // nobody asked for the default, which is shorter
			default:
				diag := doc.report("Invalid max_backoff", limit.Expr.Range(),
					"The longest wait, %s, is shorter than the first one, %s.", to.MaxBackoff, to.Backoff)
				if first, ok := found.Body.Attributes["backoff"]; ok {
					diag.Extra = related{"the first wait", first.Expr.Range()}
				}
			}
		},
	}
}

// checkTopic requires a declared topic: a misspelled one would wait for events for ever.
func (doc *document) checkTopic(given text) string {
	if slices.Contains(doc.config.Topics, given.value) {
		return ""
	}
	if meant := nearest(given.value, doc.config.Topics); meant != "" {
		return fmt.Sprintf("%s is not a declared topic. Did you mean %q?", given.shown(), meant)
	}
	return given.shown() + " is not a declared topic." + given.hint("Declare it: topic %q {}", given.value)
}

// checkSource requires exactly one of topic and channel.
func (doc *document) checkSource(found *hclsyntax.Block, grammar body) {
	topic, hasTopic := found.Body.Attributes["topic"]
	channel, hasChannel := found.Body.Attributes["channel"]
	switch {
	case hasTopic && hasChannel:
		doc.report("Topic and channel", channel.NameRange,
			"%s takes its events from a topic or from a channel, not from both. Make two handlers of it.", describe(found)).
			Extra = related{"the topic", topic.SrcRange}
	case !hasTopic && !hasChannel && !grammar.isMeant("topic", found.Body) && !grammar.isMeant("channel", found.Body):
		doc.report("No topic or channel", found.DefRange(), "%s does not say which events it gets. "+
			`Add topic = "…" for events of the log, or channel = "…" for a plain NOTIFY.`, describe(found))
	}
	if hasChannel && !hasTopic {
		for _, inner := range found.Body.Blocks {
			if inner.Type == "retry" {
				doc.report("Retry on a channel", inner.DefRange(),
					"A plain NOTIFY is attempted once: it is stored nowhere. Remove the block, or use a topic.")
			}
		}
	}
}
