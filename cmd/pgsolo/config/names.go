package config

import (
	"fmt"
	"strings"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
)

// maxNameBytes is PostgreSQL's limit for identifiers and for channels of NOTIFY. Names keep to it so that they can
// appear in application_name and in identifiers.
const maxNameBytes = 63

// checkName says what is wrong with the name of an election, a topic, a handler or a cron job.
func checkName(name string) string {
	switch {
	case name == "":
		return "The name is empty. Give it one of letters, digits, _, - and dots."
	case len(name) > maxNameBytes:
		return fmt.Sprintf("The name has %d bytes; %d is the most.", len(name), maxNameBytes)
	}
	for _, r := range name {
		if !isNameRune(r) {
			return fmt.Sprintf("The name contains %q. Use letters, digits, _, - and dots.", r)
		}
	}
	return ""
}

func isNameRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_-.", r)
}

// checkChannel says what is wrong with the name of a channel of NOTIFY, which may be nearly anything.
func checkChannel(t block.Text) string {
	switch {
	case t.Value == "":
		return "The value is empty."
	case len(t.Value) > maxNameBytes:
		return fmt.Sprintf("The value has %d bytes; PostgreSQL's limit is %d.", len(t.Value), maxNameBytes)
	case strings.ContainsRune(t.Value, 0):
		return "The value contains a zero byte, which PostgreSQL refuses."
	}
	return ""
}
