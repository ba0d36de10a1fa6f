package eventlog

import (
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs/emit"
)

func TestEmitPayloadsOfAnySize(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	leadWith(t, 1, Options{Pool: pool, Handlers: []Handler{handler},
		Topics: []Topic{{Name: "t", MaxPayload: 32 << 20}}})
	pgtest.Eventually(t, "the limit of the topic", func() bool {
		return pgtest.Value[int64](t, pool, `select pgsolo.max_payload('t')`) == 32<<20
	})
	for _, size := range []int{20 << 10, 1 << 20, 20 << 20} {
		payload := `{"data": "` + strings.Repeat("0123456789abcdef", size/16) + `"}`
		id, err := emit.Producer{}.Emit(t.Context(), pool, emit.Event{Topic: "t", Payload: []byte(payload)})
		if err != nil {
			t.Fatal(err)
		}
		if got := pgtest.Within(t, "the event", events); got.ID != id || string(got.Payload) != payload {
			t.Errorf("got event %d with %d bytes, want %d with %d", got.ID, len(got.Payload), id, len(payload))
		}
	}
}
