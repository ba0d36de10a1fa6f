package retention

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
)

// What was not old enough is read again, without what is below.
func TestRetentionGoesOnWhereItStopped(t *testing.T) {
	tt := setupTrim(t, map[string]time.Duration{"t": time.Hour})
	tt.add("t", 2*time.Hour)
	young := tt.add("t", 10*time.Minute)
	tt.add("t", 5*time.Minute)
	tt.mustPass()
	tt.wantIDs("at first", young, young+1)
	tt.exec(`update pgsolo.event set created_at = created_at - interval '52 minutes'`)
	tt.mustPass()
	tt.wantIDs("52 minutes later", young+1)
	tt.exec(`update pgsolo.event set created_at = created_at - interval '52 minutes'`)
	tt.mustPass()
	tt.wantIDs("another 52 minutes later")
}

// An event that commits late is not finished, however far the handler and the retention have gone meanwhile; and it
// does not stay for ever.
func TestRetentionOfALateCommit(t *testing.T) {
	tt := setupTrim(t, map[string]time.Duration{"t": time.Hour})
	tt.add("t", 2*time.Hour)
	tx := jobstest.Begin(t, tt.pool)
	late := pgtest.Value[int64](t, tx,
		`insert into pgsolo.event (topic, created_at) values ('t', now() - interval '2 hours') returning id`)
	tt.add("t", 2*time.Hour)
	tt.cursor("h", "t", fmt.Sprintf(`{[1,%d),[%d,%d)}`, late, late+1, late+2))
	tt.mustPass()
	jobstest.Commit(t, tx)
	tt.fromStart()
	tt.mustPass()
	tt.wantIDs("while it is not handled", late, late+1)

	tt.cursor("h", "t", fmt.Sprintf(`{[1,%d)}`, late+2))
	tt.mustPass()
	tt.wantIDs("once it is")

	tx = jobstest.Begin(t, tt.pool)
	late = pgtest.Value[int64](t, tx,
		`insert into pgsolo.event (topic, created_at) values ('t', now() - interval '2 hours') returning id`)
	tt.add("t", 2*time.Hour)
	tt.exec(`delete from pgsolo.cursor`)
	tt.mustPass()
	jobstest.Commit(t, tx)
	tt.wantIDs("a late commit that no handler needs", late)
	tt.fromStart()
	tt.mustPass()
	tt.wantIDs("from the start again")
}

func TestRetentionOfEventsDatedInTheFuture(t *testing.T) {
	tt := setupTrim(t, map[string]time.Duration{"t": time.Hour})
	future := tt.add("t", -48*time.Hour)
	tt.add("t", 2*time.Hour)
	tt.add("other", -time.Hour)
	tt.add("t", 2*time.Hour)
	tt.exec(`delete from pgsolo.event where topic = 'other'`)
	tt.mustPass()
	tt.wantIDs("above an event of the future", future)
	tt.exec(`update pgsolo.event set created_at = now() - interval '2 hours'`)
	tt.fromStart()
	tt.mustPass()
	tt.wantIDs("when its time has come")
}

// Events of one topic that a handler holds back are neither in the way of others nor forgotten, whatever comes and
// goes: after each pass the log holds exactly what a plain check of every row would leave.
func TestRetentionAgainstModel(t *testing.T) {
	type logged struct {
		id    int64
		topic string
		age   time.Duration
	}
	type handler struct {
		topic string
		on    bool
		done  idset.Set
	}
	retention := map[string]time.Duration{"a": time.Hour, "b": time.Hour, "c": 9 * time.Hour, "keep": 0,
		"*": 4 * time.Hour}
	topics := []string{"a", "b", "c", "keep", "x", "y"}
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			tt := setupTrim(t, retention)
			tt.page = 7
			var log []logged
			handlers := map[string]*handler{}
			age, next := 14*time.Hour, int64(1)
			for range 30 {
				for range random.IntN(60) {
					age -= 30 * time.Second
					e := logged{topic: topics[random.IntN(len(topics))], age: age}
					e.id = tt.add(e.topic, e.age)
					log, next = append(log, e), e.id+1
				}
				for i, topic := range []string{"a", "a", "c", "x", "y", ""} {
					name := fmt.Sprint("h", i)
					h := handlers[name]
					if h == nil {
						h = &handler{topic: topic}
						handlers[name] = h
					}
					h.on = random.IntN(3) > 0
					if topic == "" {
						h.on = random.IntN(8) == 0
					}
					h.done.Add(idset.Span{Lo: 1, Hi: 1 + random.Int64N(next)})
					if lo := 1 + random.Int64N(next); random.IntN(2) == 0 {
						h.done.Add(idset.Span{Lo: lo, Hi: lo + random.Int64N(20)})
					}
					tt.exec(`insert into pgsolo.cursor (handler, topic, configured, done) values ($1, $2, $3, $4)
						on conflict (handler) do update set configured = excluded.configured, done = excluded.done`,
						name, topic, h.on, h.done.Encode())
					if !h.on {
						tt.retire(name)
					}
				}
				tt.mustPass()
				log = slices.DeleteFunc(log, func(e logged) bool {
					keeps, listed := retention[e.topic]
					if !listed {
						keeps = retention["*"]
					}
					if keeps == 0 || e.age < keeps {
						return false
					}
					for _, h := range handlers {
						if h.on && (h.topic == e.topic || h.topic == "") &&
							(len(h.done) == 0 || h.done[0].Lo > 1 || h.done[0].Hi <= e.id) {
							return false
						}
					}
					return true
				})
				var want []int64
				for _, e := range log {
					want = append(want, e.id)
				}
				tt.wantIDs("after a pass", want...)
			}
			for name := range handlers {
				tt.retire(name)
			}
			tt.mustPass()
			for _, c := range tt.classes {
				if len(c.lagging) > 0 {
					t.Errorf("nothing is held back, but topics still lag: %v", c.lagging)
				}
			}
		})
	}
}

// A pass reads what has come since the last one, not what is kept, whatever the planner knows of the table.
func TestRetentionCostsWhatItDeletes(t *testing.T) {
	tt := setupTrim(t, map[string]time.Duration{"t": time.Hour})
	tt.exec(`alter table pgsolo.event set (autovacuum_enabled = false)`)
	tt.exec(`insert into pgsolo.event (topic, created_at) select 'kept', now() - interval '3 hours'
		from generate_series(1, 200000)`)
	last := tt.add("t", 2*time.Hour)
	tt.mustPass()
	from := tt.classes[0].position
	if from != last {
		t.Fatalf("the next pass begins above id %d, want %d", from, last)
	}
	var byIndex, whole int64
	pgtest.Eventually(t, "the statistics of the pass", func() bool {
		const scans = `select idx_scan, seq_scan from pg_stat_user_tables where relid = 'pgsolo.event'::regclass`
		if err := tt.pool.QueryRow(t.Context(), scans).Scan(&byIndex, &whole); err != nil {
			t.Fatal(err)
		}
		return byIndex > 0
	})
	if whole > 0 {
		t.Errorf("the pass has read the whole table %d times", whole)
	}

	for range 3 {
		last = tt.add("t", 2*time.Hour)
	}
	for _, known := range []string{"not analyzed", "analyzed"} {
		if known == "analyzed" {
			tt.exec(`analyze pgsolo.event`)
		}
		tt.wantBlocks(known+": read 3", selectPage, from, int64(math.MaxInt64), maxTrimPage)
		tt.wantBlocks(known+": read some in the middle", selectPage, from/2, int64(math.MaxInt64), 3)
		tt.wantBlocks(known+": read a part of a page", selectPage, from/2, from/2+3, 3)
		tt.wantBlocks(known+": delete 3", deleteEvents, from, last)
		tt.wantBlocks(known+": delete in the middle", deleteEvents, from/2, from/2+3)
	}
}

// wantBlocks runs a statement, without effect, and counts the blocks that it reads: with a plan for these values and
// with one for any.
func (tt *trimTest) wantBlocks(what, sql string, args ...any) {
	tt.t.Helper()
	tx := jobstest.Begin(tt.t, tt.pool)
	defer func() { _ = tx.Rollback(context.Background()) }()
	types, values := "", ""
	for _, arg := range args {
		types, values = types+"bigint, ", values+fmt.Sprint(arg, ", ")
	}
	types, values = types+"text[], boolean, bigint", values+"'{t}', false, 3600000000"
	if sql == selectPage {
		pgtest.Value[string](tt.t, tx, `select x from (`+followIndex+`) y (x)`)
	}
	for _, mode := range []string{"custom", "generic"} {
		for _, statement := range []string{
			"set local plan_cache_mode = force_" + mode + "_plan", "prepare " + mode + "_test (" + types + ") as " +
				sql,
		} {
			if _, err := tx.Exec(tt.t.Context(), statement); err != nil {
				tt.t.Fatal(err)
			}
		}
		explain := "explain (analyze, buffers) execute " + mode + "_test (" + values + ")"
		rows, err := tx.Query(tt.t.Context(), explain, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			tt.t.Fatal(err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			tt.t.Fatal(err)
		}
		if _, err := tx.Exec(tt.t.Context(), "deallocate "+mode+"_test"); err != nil {
			tt.t.Fatal(err)
		}
		// The first line that names buffers is that of the whole plan.
		first := slices.IndexFunc(plan, func(line string) bool { return strings.Contains(line, "Buffers:") })
		var hit int64
		if _, err := fmt.Sscanf(strings.TrimSpace(plan[first]), "Buffers: shared hit=%d", &hit); err != nil ||
			hit > 100 {
			tt.t.Errorf("%s: %d blocks (%v):\n%s", what, hit, err, strings.Join(plan, "\n"))
		}
	}
}

func TestRetentionOfSeveralLeadersAtOnce(t *testing.T) {
	tt := setupTrim(t, map[string]time.Duration{"*": time.Hour})
	for range 20 {
		tt.fill(1000, "t", 2*time.Hour)
	}
	tt.cursor("h", "t", "{[1,15001)}")
	var passes sync.WaitGroup
	for range 4 {
		declared := keeping(map[string]time.Duration{"t": time.Minute})
		other := New(groupOf(tt.pool, "other"), declared, hclog.NewNullLogger())
		passes.Go(func() {
			if err := other.pass(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	passes.Wait()
	tt.wantCount("after four passes at once", 5000)
}
