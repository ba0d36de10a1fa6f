package eventlog

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
)

// Each handler may do with its event what it likes.
func TestHandlersDoNotDisturbEachOther(t *testing.T) {
	for handlers := 1; handlers <= 2; handlers++ {
		t.Run(fmt.Sprint(handlers), func(t *testing.T) {
			pool := jobstest.Pool(t)
			if _, err := pool.Exec(t.Context(), `insert into pgsolo.event (topic, key, payload, headers)
				select 't', 'key' || n, to_jsonb(n), jsonb_build_object('n', n::text)
					from generate_series(1, 200) n`); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			all.Add(200 * handlers)
			handle := func(_ context.Context, e Event) error {
				defer all.Done()
				want := fmt.Sprint(e.ID)
				if string(e.Payload) != want || e.Headers["n"] != want || e.Key != "key"+want {
					t.Errorf("event %d: key %q, payload %q, headers %v", e.ID, e.Key, e.Payload, e.Headers)
				}
				clear(e.Payload)
				e.Payload = append(e.Payload, "and the next one's"...)
				e.Headers["n"] = string(e.Payload)
				return nil
			}
			var list []Handler
			for i := range handlers {
				list = append(list, Handler{Name: fmt.Sprint("h", i), Topic: "t", Handle: handle})
			}
			l := lead(t, pool, 1, list...)
			all.Wait()
			l.quit()
		})
	}
}
