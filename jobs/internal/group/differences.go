package group

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Jobs is what a leader declares of cron jobs.
type Jobs struct {
	Jobs map[string]Job `json:"jobs"`
}

// Job is what a leader declares of one.
type Job struct {
	Schedule string `json:"schedule"`
	Revision string `json:"revision,omitempty"`
}

// Definitions are what is declared, each by its kind and name.
func (e Events) Definitions() map[string]string {
	all := map[string]string{}
	for name, kept := range e.Topics {
		all["topic "+name] = fmt.Sprint(time.Duration(kept)*time.Microsecond, " ", e.MaxPayloads[name])
	}
	for name, h := range e.Handlers {
		all["handler "+name] = h.Topic + " " + h.Revision
	}
	return all
}

// Definitions are what is declared, each by its kind and name.
func (j Jobs) Definitions() map[string]string {
	all := map[string]string{}
	for name, job := range j.Jobs {
		all["cron "+name] = job.Schedule + " " + job.Revision
	}
	return all
}

// Differences are the names that after has and before has not, the other way round, and those with another definition.
func Differences(before, after map[string]string) (added, gone, changed []string) {
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if was, is := before[name]; !is {
			added = append(added, name)
		} else if was != after[name] {
			changed = append(changed, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, is := after[name]; !is {
			gone = append(gone, name)
		}
	}
	return added, gone, changed
}

// maxListed is how many names a line of the log has.
const maxListed = 20

// Listed are the first of the names, and how many more there are.
func Listed(names []string) []string {
	if len(names) <= maxListed {
		return names
	}
	return append(slices.Clone(names[:maxListed]), fmt.Sprintf("and %d more", len(names)-maxListed))
}
