package logread

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// isPlain is a condition that a column of jsonb may be printed without a look at it: it is small, and not compressed.
// Numbers with as many digits as there can be make 33 MB of such a one, which is no more than any event may take.
const isPlain = `pg_column_size(%[1]s) < 4096 and pg_column_compression(%[1]s) is null`

// Printed is an expression that is a column of jsonb as text where that takes no more memory than an event of the topic
// may, of the server and of the leader. Otherwise an object with the marker, a parameter, stands in its place, and has
// the reason. What most events have costs no function of pgsolo's, and is not decompressed twice.
func Printed(column, topic, marker string) string {
	return fmt.Sprintf(`case when `+isPlain+` then %[1]s::text
				else pgsolo.printed(%[1]s, (select pgsolo.max_payload(%[2]s)), %[3]s::text) end`,
		column, topic, marker)
}

// PrintedHeaders is the same for a column that is hardly ever large: it stays jsonb, which is printed faster than text.
func PrintedHeaders(column, topic, marker string) string {
	return fmt.Sprintf(`case when `+isPlain+` then %[1]s
				else pgsolo.printed(%[1]s, (select pgsolo.max_payload(%[2]s)), %[3]s::text)::jsonb end`,
		column, topic, marker)
}

// HaveHeaders is a condition that a column of headers is not empty: {} takes 8 bytes, or 5 within a row.
func HaveHeaders(column string) string { return `pg_column_size(` + column + `) > 8` }

// NewMarker returns one that no producer can know.
func NewMarker() string { return "pgsolo " + rand.Text() }

// damaged is what stands for the contents of an event which the server cannot read.
func damaged(err error, marker string) ([]byte, error) {
	return json.Marshal(map[string]string{marker: "it cannot be read: " + text.Error(err), marker + damage: ""})
}

const damage = " damaged"

// Unread is an expression that stands in place of Printed where the server cannot read the column.
func Unread(marker string) string {
	return fmt.Sprintf(`json_build_object(%[1]s::text, 'it cannot be read', %[1]s::text || '%[2]s', '')::text`,
		marker, damage)
}

// IsDamaged says whether the server could not read the event, so that it cannot copy it either.
func IsDamaged(value []byte, marker string) bool {
	if Refusal(value, marker) == nil {
		return false
	}
	var reason map[string]string
	_ = json.Unmarshal(value, &reason)
	_, is := reason[marker+damage]
	return is
}

// Refusal is why a value was not printed. nil: it is the value itself.
func Refusal(value []byte, marker string) error {
	const begin = `{"`
	if marker == "" || len(value) < len(begin)+len(marker) ||
		string(value[len(begin):len(begin)+len(marker)]) != marker {
		return nil
	}
	var reason map[string]string
	if err := json.Unmarshal(value, &reason); err != nil {
		return errors.New("it cannot be printed")
	}
	return errors.New(reason[marker])
}
