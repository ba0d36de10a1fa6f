package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// anyTopic stands for the topics that the file does not name.
const anyTopic = "*"

func (doc *document) topic(found *hclsyntax.Block) block.Body {
	topic := eventlog.Topic{Name: block.Label(found)}
	var size string
	return block.Body{
		Arguments: []block.Argument{
			{Name: "retention", Value: block.Duration(&topic.Retention, block.Positive)},
			{Name: "max_payload", Value: block.String(&size, aboutSize)},
		},
		Finish: func() {
			topic.MaxPayload, _ = bytesOf(size)
			if doc.taken.Add(doc.Decoder, found) {
				doc.config.Topics = append(doc.config.Topics, topic)
			}
		},
	}
}

// bytesOf reads a size as PostgreSQL's settings have it: from what every topic has, up to what jsonb can hold.
func bytesOf(size string) (bytes int64, ok bool) {
	number, unit := strings.TrimRight(size, "kMB"), int64(1<<20)
	if size == number+"kB" {
		unit = 1 << 10
	} else if size != number+"MB" {
		return 0, false
	}
	n, err := strconv.ParseInt(number, 10, 32)
	return n * unit, err == nil && n*unit >= 16<<20 && n*unit < 256<<20
}

func aboutSize(given block.Text) string {
	if _, ok := bytesOf(given.Value); ok {
		return ""
	}
	return given.Shown() + " is not a size from 16MB to less than 256MB: a number with kB or MB, as \"64MB\"."
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
