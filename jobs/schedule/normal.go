package schedule

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/robfig/cron/v3"
)

// starBit is set by the parser in the sets of the days and weekdays where * leaves them to the other field.
const starBit = 1 << 63

// normalForm returns six fields that Parse reads as the same calendar, and that are the same for every way to
// write it.
func normalForm(calendar *cron.SpecSchedule, everyHour bool) string {
	days, weekdays := cronFields[3].write(calendar.Dom), cronFields[5].write(calendar.Dow)
	if either := (calendar.Dom|calendar.Dow)&starBit == 0; either && (days == anyValue || weekdays == anyValue) {
		days, weekdays = anyValue, anyValue
	}
	hours := cronFields[2].list(calendar.Hour)
	if everyHour {
		hours = cronFields[2].wildcards(calendar.Hour)
	}
	return strings.Join([]string{
		cronFields[0].write(calendar.Second), cronFields[1].write(calendar.Minute), hours,
		days, cronFields[4].write(calendar.Month), weekdays,
	}, " ")
}

// values returns the members of a set.
func values(set uint64) (members []int) {
	for set &^= starBit; set != 0; set &= set - 1 {
		members = append(members, bits.TrailingZeros64(set))
	}
	return members
}

// write returns the set as a field: * if it has every value.
func (f cronField) write(set uint64) string {
	if len(values(set)) == f.max-f.min+1 {
		return anyValue
	}
	return f.list(set)
}

// list returns the set as values and ranges, and as one range with a step where it is one.
func (f cronField) list(set uint64) string {
	members := values(set)
	last := len(members) - 1
	if last >= 2 {
		step := members[1] - members[0]
		if step > 1 && isProgression(members, step) {
			return fmt.Sprintf("%d-%d/%d", members[0], members[last], step)
		}
	}
	var items []string
	for len(members) > 0 {
		n := 1
		for n < len(members) && members[n] == members[0]+n {
			n++
		}
		if n > 2 {
			items = append(items, fmt.Sprintf("%d-%d", members[0], members[n-1]))
		} else {
			n = 1
			items = append(items, fmt.Sprint(members[0]))
		}
		members = members[n:]
	}
	return strings.Join(items, ",")
}

func isProgression(members []int, step int) bool {
	for i, member := range members {
		if member != members[0]+i*step {
			return false
		}
	}
	return true
}

// wildcards returns the set, of a field that was a wildcard, as * or as */n.
func (f cronField) wildcards(set uint64) string {
	var items []string
	var covered uint64
	for step := 1; step <= f.max && covered != set&^starBit; step++ {
		var steps uint64
		for value := f.min; value <= f.max; value += step {
			steps |= 1 << value
		}
		if steps&^set != 0 || steps&^covered == 0 {
			continue
		}
		covered |= steps
		if step == 1 {
			items = append(items, anyValue)
		} else {
			items = append(items, fmt.Sprintf("*/%d", step))
		}
	}
	return strings.Join(items, ",")
}
