package rows

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// The only session that the server gives at present is not kept for ticks: others have work, too.
func TestTheOnlySessionIsNotKept(t *testing.T) {
	own := jobstest.Pool(t)
	store, known, tick := setup(t, own)
	if _, err := store.Claim(t.Context(), 5, known, tick.At, takeAll); err != nil {
		t.Fatal(err)
	}
	config := own.Config()
	opened := 0
	config.BeforeConnect = func(context.Context, *pgx.ConnConfig) error {
		if opened++; opened > 1 {
			return errors.New("the server accepts no more")
		}
		return nil
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	store.DB.Pool = pool
	kept, release := store.KeepSession()
	defer release()
	for range 2 {
		if _, err := kept.Settle(t.Context(), 5, nil); err != nil {
			t.Fatal(err)
		}
		other := make(chan error, 1)
		go func() { other <- pool.AcquireFunc(t.Context(), func(*pgxpool.Conn) error { return nil }) }()
		if err := pgtest.Within(t, "a session for something else", other); err != nil {
			t.Error(err)
		}
	}
}
