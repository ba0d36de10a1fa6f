package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
)

// zone takes the name of a time zone.
func zone(to **time.Location) block.Value {
	return func(d *block.Decoder, attr *hclsyntax.Attribute) {
		var name string
		block.String(&name, checkZone)(d, attr)
		if location, err := time.LoadLocation(name); err == nil && name != "" { // it is empty where something is wrong
			*to = location
		}
	}
}

// checkZone says what is wrong with the name of a time zone. That of the machine is refused: replicas may differ in it.
func checkZone(given block.Text) string {
	const form = " Write a name of the IANA time zone database, such as Europe/Berlin or UTC."
	if given.Value == "" || given.Value == "Local" {
		return "The time zone must be the same on every replica." + form
	}
	if _, err := time.LoadLocation(given.Value); err == nil {
		return ""
	}
	if meant := meantZone(given.Value); meant != "" {
		return given.Shown() + " is not a time zone." + given.Hint("Did you mean %q?", meant)
	}
	return given.Shown() + " is not a time zone." + form
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

// zoneRemedy says where a time zone that stands in a schedule goes.
func zoneRemedy(zone string) string {
	if checkZone(block.Text{Value: zone}) != "" {
		return `Write it as an argument of its own: time_zone = "Europe/Berlin".`
	}
	return fmt.Sprintf("Write time_zone = %q.", zone)
}
