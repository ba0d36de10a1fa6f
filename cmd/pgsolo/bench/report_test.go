package bench

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFigure(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	floor, ratio := 25.0, 2.0
	for name, test := range map[string]struct{ got, want Figure }{
		"summary": {
			newFigure("f", "ms", hundred, nil),
			Figure{Figure: "f", Unit: "ms", N: 100, Min: 1, Median: 50, P99: 99, Max: 100, Met: true},
		},
		"one sample": {
			newFigure("f", "ms", []float64{7}, nil, atMost("max", 7)),
			Figure{Figure: "f", Unit: "ms", N: 1, Min: 7, Median: 7, P99: 7, Max: 7, Goal: "max ≤ 7", Met: true},
		},
		"floor": {
			newFigure("f", "ms", hundred, []float64{30, 25, 20}, atMost("ratio", 2), atMost("p99", 99)),
			Figure{
				Figure: "f", Unit: "ms", N: 100, Min: 1, Median: 50, P99: 99, Max: 100, Floor: &floor, Ratio: &ratio,
				Goal: "ratio ≤ 2, p99 ≤ 99", Met: true,
			},
		},
		"more is better": {
			newFigure("f", "1/s", hundred, []float64{25}, atLeast("ratio", 2)),
			Figure{
				Figure: "f", Unit: "1/s", N: 100, Min: 1, Median: 50, P99: 99, Max: 100, Floor: &floor, Ratio: &ratio,
				Goal: "ratio ≥ 2", Met: true,
			},
		},
		"too little": {
			newFigure("f", "1/s", hundred, []float64{25}, atLeast("ratio", 2.1)),
			Figure{
				Figure: "f", Unit: "1/s", N: 100, Min: 1, Median: 50, P99: 99, Max: 100, Floor: &floor, Ratio: &ratio,
				Goal: "ratio ≥ 2.1",
			},
		},
		"a goal for a floor that is not there": {
			newFigure("f", "1/s", []float64{1}, nil, atLeast("ratio", 0)),
			Figure{Figure: "f", Unit: "1/s", N: 1, Min: 1, Median: 1, P99: 1, Max: 1, Goal: "ratio ≥ 0"},
		},
		"the second half of the goal is missed": {
			newFigure("f", "ms", hundred, []float64{25}, atMost("ratio", 2), atMost("p99", 98.5)),
			Figure{
				Figure: "f", Unit: "ms", N: 100, Min: 1, Median: 50, P99: 99, Max: 100, Floor: &floor, Ratio: &ratio,
				Goal: "ratio ≤ 2, p99 ≤ 98.5",
			},
		},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestOutput(t *testing.T) {
	figures := []Figure{
		newFigure("slow", "ms", []float64{3, 1, 2}, []float64{1.5}, atMost("ratio", 1)),
		newFigure("free", "", []float64{0}, nil),
	}
	for name, test := range map[string]struct {
		options Options
		want    string
		err     error
	}{
		"table": {Options{Strict: true}, `
figure  unit  n  min  median  p99  max  floor  ratio  goal       met
slow    ms    3    1       2    3    3    1.5   1.33  ratio ≤ 1  no
free          1    0       0    0    0
`, ErrGoal},
		"json": {Options{JSON: true}, `
{"figure":"slow","unit":"ms","n":3,"min":1,"median":2,"p99":3,"max":3,"floor":1.5,` +
			`"ratio":1.3333333333333333,"goal":"ratio ≤ 1","met":false}
{"figure":"free","unit":"","n":1,"min":0,"median":0,"p99":0,"max":0,"floor":null,"ratio":null,"goal":"","met":true}
`, nil},
	} {
		var out strings.Builder
		test.options.Out = &out
		r := &run{options: test.options, progress: &progress{}}
		for _, f := range figures {
			if err := r.report(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.conclude(); !errors.Is(err, test.err) {
			t.Errorf("%s: error %v, want %v", name, err, test.err)
		}
		if diff := cmp.Diff(test.want, "\n"+out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
