package config

import (
	"fmt"
	"strings"
	"time"
)

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

// zoneRemedy says where a time zone goes that somebody wrote into a schedule.
func zoneRemedy(zone string) string {
	if checkZone(text{value: zone}) != "" {
		return `Write it as an argument of its own: time_zone = "Europe/Berlin".`
	}
	return fmt.Sprintf("Write time_zone = %q.", zone)
}
