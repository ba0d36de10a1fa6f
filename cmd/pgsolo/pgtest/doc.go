// Package pgtest is what the tests of all packages share: databases and servers of PostgreSQL, waiting, reading.
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, pgtest.Migrating(jobs.DefaultSchema, jobs.Migrate))) }
//
//	func TestInsert(t *testing.T) {
//		conn := pgtest.Connect(t, pgtest.Database(t))
//		…
//		pgtest.Eventually(t, "the event", func() bool {
//			return pgtest.Value[int](t, conn, `select count(*) from event`) == 1
//		})
//	}
//
// # Guaranteed
//
//   - Each test's database is a copy of the migrated template, and no two tests or packages share one.
//   - A package whose tests leave a goroutine behind fails.
//   - No wait for a condition or a channel is longer than Patience.
//
// It knows none of the packages that it tests: it imports neither election nor listener nor jobs.
package pgtest
