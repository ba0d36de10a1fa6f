package block

import (
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
)

// Nearest is the candidate that given is probably a misspelling of, or empty. Of two as near, the first wins.
func Nearest(given string, candidates []string) string {
	best, bestDistance := "", len(given)
	for _, candidate := range candidates {
		distance := distance(strings.ToLower(given), strings.ToLower(candidate))
		if distance <= tolerance(candidate) && distance < bestDistance {
			best, bestDistance = candidate, distance
		}
	}
	return best
}

// distance is how many letters are missing, wrong or too many. Two neighbours in the wrong order count as one mistake.
func distance(a, b string) int {
	for i := 1; i < len(a) && len(a) == len(b); i++ {
		if a[:i-1]+a[i:i+1]+a[i-1:i]+a[i+1:] == b {
			return 1
		}
	}
	return levenshtein.Distance(a, b, nil)
}

// tolerance is how many mistakes a word may have. Two in a word of four would make any word a misspelling of it.
func tolerance(word string) int {
	switch {
	case len(word) <= 4:
		return 1
	case len(word) <= 8:
		return 2
	default:
		return 3
	}
}

// didYouMean is a sentence with the nearest candidate, or with all of them where none is near.
func didYouMean(given string, candidates []string) string {
	if meant := Nearest(given, candidates); meant != "" {
		return fmt.Sprintf(" Did you mean %q?", meant)
	}
	if len(candidates) == 0 {
		return ""
	}
	quoted := make([]string, len(candidates))
	for i, candidate := range candidates {
		quoted[i] = fmt.Sprintf("%q", candidate)
	}
	return " It may be " + strings.Join(quoted, ", ") + "."
}
