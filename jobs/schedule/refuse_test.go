package schedule

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// Each says what is given, where it is wrong, and what is said of it.
func TestParseRefuses(t *testing.T) {
	for _, test := range []string{
		`
61 * * * *
^^
minute 61: want 0 to 59`, `
* 24 * * *
  ^^
hour 24: want 0 to 23`, `
* * 0 * *
    ^
day 0: want 1 to 31`, `
* * * 13 *
      ^^
month 13: want 1 to 12 or jan to dec`, `
0 9 * Jan,Mars *
          ^^^^
month Mars: want 1 to 12 or jan to dec`, `
* * * * 8
        ^
weekday 8: want 0 to 7 or sun to sat`, `
60 * * * * *
^^
second 60: want 0 to 59`, `
  0   9,12,24   * * *
           ^^
hour 24: want 0 to 23`, `
0 9-24/2 * * *
    ^^
hour 24: want 0 to 23`, `
50-10 * * * *
^^^^^
minute 50-10 ends before it begins: want 50-59,0-10`, `
0 23-0 * * *
  ^^^^
hour 23-0 ends before it begins: want 23,0`, `
0 0 * Nov-Feb *
      ^^^^^^^
month Nov-Feb ends before it begins: want nov-dec,jan-feb`, `
0 0 * * fri-tue/2
        ^^^^^^^
weekday fri-tue ends before it begins: want fri-sat,sun-tue`, `
0 0 * * 7-2
        ^
weekday 7 begins a range: want 0, which is Sunday too`, `
0 0 * * 7/2
        ^
weekday 7 begins a range: want 0, which is Sunday too`, `
*/0 * * * *
  ^
minute step 0: want 1 to 59`, `
5,*/90 * * * *
    ^^
minute step 90: want 1 to 59`, `
* * */31 * *
      ^^
day step 31: want 1 to 30`, `
*/99999999999999999999 * * * *
  ^^^^^^^^^^^^^^^^^^^^
minute step 99999999999999999999: want 1 to 59`, `
*/ * * * *
^^
minute step */: want 1 to 59`, `
1/2/3 * * * *
  ^^^
minute step 2/3: want 1 to 59`, `
/5 * * * *
^^
minute /5: want 0 to 59`, `
1,,2 * * * *
 ^
minute list: want a value on both sides of each comma`, `
,1 * * * *
^
minute list: want a value on both sides of each comma`, `
1, * * * *
 ^
minute list: want a value on both sides of each comma`, `
* , * * *
  ^
hour list: want a value on both sides of each comma`, `
*-5 * * * *
^
minute *: want 0 to 59`, `
+5 * * * *
^^
minute +5: want 0 to 59`, `
-5 * * * *
^^
minute -5: want 0 to 59`, `
5- * * * *
^^
minute 5-: want 0 to 59`, `
1-2-3 * * * *
  ^^^
minute 2-3: want 0 to 59`, `
? * * * *
^
minute ?: want 0 to 59`, `
0 0 ?/2 * *
    ^
day ?: want 1 to 31`, `
0 0 L * *
    ^
day L: want 1 to 31`, `
0 0 * * 5#3
        ^^^
weekday 5#3: want 0 to 7 or sun to sat`, `
** * * * *
^^
minute **: want 0 to 59`, `
* * * *
^^^^^^^
want 5 or 6 fields, got 4`, `
0 0 12 1 1 ? 2030 2031
             ^^^^^^^^^
want 5 or 6 fields, got 8`, `
TZ=UTC
^^^^^^
TZ=UTC does not belong into the expression: the job has a time zone of its own`, `
CRON_TZ=Europe/Berlin 0 3 * * *
^^^^^^^^^^^^^^^^^^^^^
CRON_TZ=Europe/Berlin does not belong into the expression: the job has a time zone of its own`, `
0 3 * * * tz=UTC
          ^^^^^^
tz=UTC does not belong into the expression: the job has a time zone of its own`, `
@reboot
^^^^^^^
@reboot has no meaning where another replica may take over: ` + wantSchedule, `
@Fortnightly
^^^^^^^^^^^^
unknown descriptor @Fortnightly: want @yearly, @monthly, @weekly, @daily, @hourly, or @every 5m`, `
@daily  5 *
        ^^^
want nothing after @daily`, `
@every
^^^^^^
@every takes a duration: want for example @every 1h30m`, `
@every 1h 30m
       ^^^^^^
@every takes one duration, got 2 words: want for example @every 1h30m`, `
@every day
       ^^^
@every day: want a duration such as 30s, 5m or 1h30m, at most 8784h`, `
@every 5
       ^
@every 5: want a duration such as 30s, 5m or 1h30m, at most 8784h`, `
@every -1h
       ^^^
@every -1h: want at least 1s`, `
@every 0s
       ^^
@every 0s: want at least 1s`, `
@every 999ms
       ^^^^^
@every 999ms: want at least 1s`, `
@every 1500ms
       ^^^^^^
@every 1500ms: want whole seconds`, `
@every 8785h
       ^^^^^
@every 8785h: want at most 8784h, or a date such as 0 0 1 1 *`, `
@every 9999999h
       ^^^^^^^^
@every 9999999h: want a duration such as 30s, 5m or 1h30m, at most 8784h`, `
0 0 31 2 *
    ^^^^
never fires: want a day from 1 to 29 in these months`, `
0 0 0 30  Feb ?
      ^^^^^^^
never fires: want a day from 1 to 29 in these months`, `
0 0 31 2,4,6,9,11 *
    ^^^^^^^^^^^^^
never fires: want a day from 1 to 30 in these months`,
	} {
		lines := strings.Split(test, "\n")
		expr, carets, problem := lines[1], lines[2], lines[3]
		t.Run(expr, func(t *testing.T) {
			var wrong *Error
			if _, err := Parse(expr, time.UTC); !errors.As(err, &wrong) {
				t.Fatalf("got error %v, want an Error", err)
			}
			underlined := strings.Repeat(" ", wrong.Start) + strings.Repeat("^", wrong.End-wrong.Start)
			if wrong.Expression != expr || underlined != carets || wrong.Problem != problem {
				t.Errorf("got\n%s\n%s\n%s\nwant%s", wrong.Expression, underlined, wrong.Problem, test)
			}
		})
	}
}

// What cannot be seen, or can be taken for something else, is refused too, and its place is that of its bytes.
func TestParseRefusesOtherLetters(t *testing.T) {
	for _, test := range []struct{ expr, wrong, problem string }{
		{"", "", "empty: " + wantSchedule},
		{" \t", " \t", "empty: " + wantSchedule},
		{"0 9 * märz *", "märz", `month "märz": want 1 to 12 or jan to dec`},
		{"0 9 * * ſun", "ſun", `weekday "ſun": want 0 to 7 or sun to sat`},
		{"\u00a00 24 * * *", "24", "hour 24: want 0 to 23"}, // a space that does not break, at the beginning
		{"@wee\u212aly", "@wee\u212aly",
			"unknown descriptor \"@wee\u212aly\": want @yearly, @monthly, @weekly, @daily, @hourly, or @every 5m"},
		{"5\x00 * * * *", "5\x00", `minute "5\x00": want 0 to 59`},
		{"\xff * * * *", "\xff", `minute "\xff": want 0 to 59`},
		{strings.Repeat("5", 50) + " * * * *", strings.Repeat("5", 50),
			`minute "` + strings.Repeat("5", 40) + `"...: want 0 to 59`},
	} {
		t.Run(test.expr, func(t *testing.T) {
			var wrong *Error
			if _, err := Parse(test.expr, time.UTC); !errors.As(err, &wrong) {
				t.Fatalf("got error %v, want an Error", err)
			}
			if place := test.expr[wrong.Start:wrong.End]; place != test.wrong || wrong.Problem != test.problem {
				t.Errorf("got %q: %s, want %q: %s", place, wrong.Problem, test.wrong, test.problem)
			}
		})
	}
}

func TestErrorSaysTheExpression(t *testing.T) {
	_, err := Parse("61 * * * *", nil)
	if want := `"61 * * * *": minute 61: want 0 to 59`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
