package config

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// anyTopic stands for the topics that the file does not name.
const anyTopic = "*"

func (doc *document) topic(found *hclsyntax.Block) block.Body {
	topic := eventlog.Topic{Name: block.Label(found)}
	return block.Body{
		Arguments: []block.Argument{
			{Name: "retention", Value: block.Duration(&topic.Retention, block.Positive)},
		},
		Finish: func() {
			if doc.taken.Add(doc.Decoder, found) {
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

// checkTopic requires a declared topic: a misspelled one would wait for events for ever. Where any topic is accepted,
// that cannot be checked.
func (doc *document) checkTopic(given block.Text) string {
	names := doc.config.topicNames()
	switch {
	case given.Value == anyTopic:
		return given.Shown() + " stands for topics that have no block of their own. A handler names one topic."
	case slices.Contains(names, given.Value):
		return ""
	case slices.Contains(names, anyTopic):
		return checkName(given.Value)
	}
	if meant := block.Nearest(given.Value, names); meant != "" {
		return fmt.Sprintf("%s is not a declared topic. Did you mean %q?", given.Shown(), meant)
	}
	return given.Shown() + " is not a declared topic." + given.Hint("Declare it: topic %q {}", given.Value)
}

func (c *Config) topicNames() []string {
	names := make([]string, len(c.Topics))
	for i, topic := range c.Topics {
		names[i] = topic.Name
	}
	return names
}
