package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func (doc *document) postgres(found *hclsyntax.Block) body {
	to := &doc.config.Postgres
	return body{
		arguments: []argument{
			{name: "url", required: true, example: `url = env("DATABASE_URL")`, decode: doc.text(&to.URL, checkPostgresURL)},
			{name: "schema", decode: doc.text(&to.Schema, checkSchema)},
			{name: "notify", decode: doc.boolean(&to.Notify)},
		},
		finish: func() {
			if !to.Notify {
				doc.silent = found.Body.Attributes["notify"]
			}
		},
	}
}

func (doc *document) election(found *hclsyntax.Block) body {
	to := defaultElection(label(found))
	return body{
		arguments: []argument{
			{name: "lease", decode: doc.duration(&to.Lease, checkLease)},
			{name: "poll_interval", decode: doc.duration(&to.PollInterval, checkPollInterval)},
			{name: "drain", decode: doc.duration(&to.Drain, notNegative)},
		},
		finish: func() {
			if doc.taken.add(&doc.decoder, found) {
				doc.config.Elections = append(doc.config.Elections, to)
			}
			if len(to.Name) > maxElectionBytes && len(to.Name) <= maxNameBytes { // checkLabels refuses longer ones
				doc.report("Invalid name", found.LabelRanges[0],
					"The name of an election has at most %d bytes, and this one has %d.", maxElectionBytes, len(to.Name))
			}
		},
	}
}

// electionOf returns the election with a name, or the first one where it is empty; checkElection has refused unknown names.
func (doc *document) electionOf(name string) *Election {
	if len(doc.config.Elections) == 0 {
		doc.config.Elections = append(doc.config.Elections, defaultElection("main"))
	}
	for _, election := range doc.config.Elections {
		if election.Name == name {
			return election
		}
	}
	return doc.config.Elections[0]
}

// checkElection requires an election that exists.
func (doc *document) checkElection(given text) string {
	var names []string
	for _, election := range doc.config.Elections {
		names = append(names, election.Name)
	}
	if slices.Contains(names, given.value) {
		return ""
	}
	if meant := nearest(given.value, names); meant != "" {
		return fmt.Sprintf("%s is not an election. Did you mean %q?", given.shown(), meant)
	}
	return given.shown() + " is not an election." + given.hint("Add one: election %q {}", given.value)
}

// maxElectionBytes leaves room for the term in application_name.
const maxElectionBytes = 24

func checkLease(lease time.Duration) string {
	if lease < time.Second || lease > time.Minute {
		return "The lease must be from 1s to 1m: a shorter one is lost to a busy machine, a longer one delays the takeover from a frozen leader."
	}
	return ""
}

func checkPollInterval(interval time.Duration) string {
	if interval < 10*time.Millisecond || interval >= time.Second {
		return "The poll interval must be at least 10ms, and below 1s, which is PostgreSQL's deadlock_timeout: a longer wait is logged by the server."
	}
	return ""
}

func notNegative(duration time.Duration) string {
	if duration < 0 {
		return "The duration must not be negative."
	}
	return ""
}

func (doc *document) http(*hclsyntax.Block) body {
	to := &doc.config.HTTP
	return body{arguments: []argument{
		{name: "listen", decode: doc.text(&to.Listen, checkListen)},
		{name: "advertise", decode: doc.text(&to.Advertise, checkWebURL)},
	}}
}

func (doc *document) log(*hclsyntax.Block) body {
	to := &doc.config.Log
	return body{arguments: []argument{
		{name: "level", decode: doc.text(&to.Level, oneOf("trace", "debug", "info", "warn", "error"))},
		{name: "format", decode: doc.text(&to.Format, oneOf("text", "json"))},
	}}
}
