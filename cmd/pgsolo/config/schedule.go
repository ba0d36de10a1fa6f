package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
)

// checkSchedule says what is wrong with a cron expression.
func checkSchedule(given text) string {
	_, err := jobs.ParseSchedule(given.value, time.UTC)
	switch {
	case err == nil:
		return ""
	case given.hidden:
		return given.shown() + " is not a schedule."
	case strings.Contains(given.value, "TZ="):
		return given.shown() + ` is not a schedule: the time zone does not belong into it. Write time_zone = "Europe/Berlin".`
	}
	descriptors := []string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
	if meant := nearest(strings.TrimSpace(given.value), descriptors); meant != "" {
		return fmt.Sprintf("%s is not a schedule. Did you mean %q?", given.shown(), meant)
	}
	return fmt.Sprintf("%s is not a schedule: %v.", given.shown(), err)
}

// checkZone says what is wrong with the name of a time zone. The zone of the machine is refused: replicas may differ in it.
func checkZone(given text) string {
	const form = " Write a name of the IANA time zone database, such as Europe/Berlin or UTC."
	if given.value == "" || given.value == "Local" {
		return "The time zone must be the same on every replica." + form
	}
	if _, err := time.LoadLocation(given.value); err == nil {
		return ""
	}
	if meant := meantZone(given.value); meant != "" {
		return given.shown() + " is not a time zone." + given.hint("Did you mean %q?", meant)
	}
	return given.shown() + " is not a time zone." + form
}

// meantZone corrects the case of the letters and spaces.
func meantZone(given string) string {
	words := func(s, separator string) string {
		parts := strings.Split(s, separator)
		for i, part := range parts {
			if part != "" {
				parts[i] = strings.ToUpper(part[:1]) + part[1:]
			}
		}
		return strings.Join(parts, separator)
	}
	lower := strings.ToLower(strings.ReplaceAll(given, " ", "_"))
	for _, guess := range []string{strings.ToUpper(given), words(words(lower, "/"), "_")} {
		if _, err := time.LoadLocation(guess); err == nil && guess != "" {
			return guess
		}
	}
	return ""
}
