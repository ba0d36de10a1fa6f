package config

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// anyTopic stands for the topics that the file does not name.
const anyTopic = "*"

func (doc *document) topic(found *hclsyntax.Block) body {
	topic := eventlog.Topic{Name: label(found)}
	return body{
		arguments: []argument{
			{name: "retention", decode: doc.duration(&topic.Retention, positive)},
		},
		finish: func() {
			if doc.taken.add(&doc.decoder, found) {
				doc.config.Topics = append(doc.config.Topics, topic)
			}
		},
	}
}

func checkTopicName(name string) string {
	if name == anyTopic {
		return ""
	}
	return checkName(name)
}

// checkTopic requires a declared topic: a misspelled one would wait for events for ever. Where any topic is accepted, that
// cannot be told.
func (doc *document) checkTopic(given text) string {
	names := doc.config.topicNames()
	switch {
	case given.value == anyTopic:
		return given.shown() + " stands for topics that have no block of their own. A handler names one topic."
	case slices.Contains(names, given.value):
		return ""
	case slices.Contains(names, anyTopic):
		return checkName(given.value)
	}
	if meant := nearest(given.value, names); meant != "" {
		return fmt.Sprintf("%s is not a declared topic. Did you mean %q?", given.shown(), meant)
	}
	return given.shown() + " is not a declared topic." + given.hint("Declare it: topic %q {}", given.value)
}

func (c *Config) topicNames() []string {
	names := make([]string, len(c.Topics))
	for i, topic := range c.Topics {
		names[i] = topic.Name
	}
	return names
}
