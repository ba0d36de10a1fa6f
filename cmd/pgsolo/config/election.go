package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

func (doc *document) election(found *hclsyntax.Block) block.Body {
	to := defaultElection(block.Label(found))
	return block.Body{
		Arguments: []block.Argument{
			{Name: "lease", Value: block.Duration(&to.Lease, checkLease)},
			{Name: "poll_interval", Value: block.Duration(&to.PollInterval, checkPollInterval)},
			{Name: "drain", Value: block.Duration(&to.Drain, block.NotNegative)},
		},
		Finish: func() {
			if doc.taken.Add(doc.Decoder, found) {
				doc.config.Elections = append(doc.config.Elections, to)
			}
			if len(to.Name) > maxElectionBytes && len(to.Name) <= maxNameBytes { // checkLabels refuses longer ones
				doc.Report("Invalid name", found.LabelRanges[0],
					"The name of an election has at most %d bytes, and this one has %d.",
					maxElectionBytes, len(to.Name))
			}
		},
	}
}

// fingerprint is that of what the leader runs, in whatever order.
func (e *Election) fingerprint(topics []eventlog.Topic) string {
	var lines []string
	for _, t := range topics {
		lines = append(lines, fmt.Sprintf("topic %s %s", t.Name, t.Retention))
		if t.MaxPayload > 0 {
			lines = append(lines, fmt.Sprintf("max_payload %s %d", t.Name, t.MaxPayload))
		}
	}
	for _, h := range e.Handlers {
		lines = append(lines, fmt.Sprintf("handler %s %s", h.Name, h.Revision))
	}
	for _, c := range e.Crons {
		lines = append(lines, fmt.Sprintf("cron %s %s", c.Name, c.Revision))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:8])
}

// electionOf returns the election with a name, or the first one for none; checkElection has refused unknown names.
func (doc *document) electionOf(name string) *Election {
	if len(doc.config.Elections) == 0 {
		doc.config.Elections = append(doc.config.Elections, defaultElection(election.DefaultName))
	}
	for _, e := range doc.config.Elections {
		if e.Name == name {
			return e
		}
	}
	return doc.config.Elections[0]
}

// checkElection requires an election that exists.
func (doc *document) checkElection(given block.Text) string {
	var names []string
	for _, e := range doc.config.Elections {
		names = append(names, e.Name)
	}
	if slices.Contains(names, given.Value) {
		return ""
	}
	if meant := block.Nearest(given.Value, names); meant != "" {
		return fmt.Sprintf("%s is not an election. Did you mean %q?", given.Shown(), meant)
	}
	return given.Shown() + " is not an election." + given.Hint("Add one: election %q {}", given.Value)
}

// maxElectionBytes leaves room for the term in application_name.
const maxElectionBytes = 24

func checkLease(lease time.Duration) string {
	if lease < time.Second || lease > time.Minute {
		return "The lease must be from 1s to 1m: a shorter one is lost to a busy machine, a longer one delays the " +
			"takeover from a frozen leader."
	}
	return ""
}

func checkPollInterval(interval time.Duration) string {
	if interval < 10*time.Millisecond || interval >= time.Second {
		return "The poll interval must be at least 10ms, and below 1s, which is PostgreSQL's deadlock_timeout: a " +
			"longer wait is logged by the server."
	}
	return ""
}
