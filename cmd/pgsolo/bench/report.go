package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// Figure is one line of the result, and one object with -o json.
type Figure struct {
	Figure string   `json:"figure"` // name
	Unit   string   `json:"unit"`
	N      int      `json:"n"` // samples
	Min    float64  `json:"min"`
	Median float64  `json:"median"`
	P99    float64  `json:"p99"` // nearest rank: with fewer than 100 samples the greatest
	Max    float64  `json:"max"`
	Floor  *float64 `json:"floor"` // median of the floor in the same unit; null: there is none
	Ratio  *float64 `json:"ratio"` // median by floor; null without a floor
	Goal   string   `json:"goal"`  // in words, for people, as Met is for programs; empty: there is none
	Met    bool     `json:"met"`   // true where there is no goal
}

// limit is one condition of a goal: that which is at most so much, or at least.
type limit struct {
	which string // "median", "p99", "max" or "ratio"
	bound float64
	least bool
}

func atMost(which string, bound float64) limit { return limit{which: which, bound: bound} }

func atLeast(which string, bound float64) limit {
	return limit{which: which, bound: bound, least: true}
}

// newFigure summarizes samples, of which there is at least one. The floor may have none.
func newFigure(name, unit string, samples, floor []float64, goal ...limit) Figure {
	sorted := slices.Sorted(slices.Values(samples))
	f := Figure{
		Figure: name, Unit: unit, N: len(sorted),
		Min: sorted[0], Median: quantile(sorted, 0.5), P99: quantile(sorted, 0.99), Max: sorted[len(sorted)-1],
	}
	if len(floor) > 0 {
		median := quantile(slices.Sorted(slices.Values(floor)), 0.5)
		ratio := f.Median / median
		f.Floor, f.Ratio = &median, &ratio
	}
	f.Met = true
	var words []string
	for _, l := range goal {
		sign, met := "≤", f.value(l.which) <= l.bound
		if l.least {
			sign, met = "≥", f.value(l.which) >= l.bound
		}
		words = append(words, fmt.Sprintf("%s %s %s", l.which, sign, number(l.bound)))
		f.Met = f.Met && met
	}
	f.Goal = strings.Join(words, ", ")
	return f
}

// value is NaN, which meets no goal, where there is none.
func (f Figure) value(which string) float64 {
	switch which {
	case "median":
		return f.Median
	case "p99":
		return f.P99
	case "max":
		return f.Max
	case "ratio":
		if f.Ratio != nil {
			return *f.Ratio
		}
	}
	return math.NaN()
}

// quantile takes the nearest rank.
func quantile(sorted []float64, q float64) float64 {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func milliseconds(samples []time.Duration) []float64 {
	all := make([]float64, len(samples))
	for i, s := range samples {
		all[i] = float64(s.Microseconds()) / 1000
	}
	return all
}

// number has three digits after the point at most.
func number(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
}

func writeJSON(out io.Writer, f Figure) error { return json.NewEncoder(out).Encode(f) }

// writeTable aligns numbers to the right and words to the left.
func writeTable(out io.Writer, figures []Figure) error {
	rows := [][]string{{"figure", "unit", "n", "min", "median", "p99", "max", "floor", "ratio", "goal", "met"}}
	for _, f := range figures {
		floor, ratio, met := "", "", ""
		if f.Floor != nil {
			floor, ratio = number(*f.Floor), fmt.Sprintf("%.2f", *f.Ratio)
		}
		if f.Goal != "" {
			met = map[bool]string{true: "yes", false: "no"}[f.Met]
		}
		rows = append(rows, []string{
			f.Figure, f.Unit, fmt.Sprint(f.N), number(f.Min), number(f.Median), number(f.P99), number(f.Max),
			floor, ratio, f.Goal, met,
		})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var text strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			width := widths[i]
			if words := i < 2 || i > 8; words {
				width = -width
			}
			fmt.Fprintf(&line, "%*s  ", width, cell)
		}
		text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(out, text.String())
	return err
}
