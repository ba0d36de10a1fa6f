package bench

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/election"
)

// Competitor is what a process of the bench does that only competes: an elector with nothing around it, or the floor,
// which is a session in pg_advisory_lock. It writes one line, with the time, when it leads.
type Competitor struct {
	URL   string
	Floor bool
	Lease time.Duration // of the elector
	Out   io.Writer
}

// Run competes until ctx is done. Then the leader hands over.
func (c Competitor) Run(ctx context.Context) error {
	config, err := pgx.ParseConfig(c.URL)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	sessions(config)
	if c.Floor {
		return c.queue(ctx, config)
	}
	elector, err := election.New(election.Options{Config: config, Lease: c.Lease})
	if err != nil {
		return err
	}
	return elector.Run(ctx, func(ctx context.Context, term election.Term) error {
		c.mark()
		select {
		case <-ctx.Done():
		case <-term.Stopping:
		}
		return nil
	})
}

// floorClass is the first half of the floor's lock. It is no table's oid.
const floorClass = 1

func (c Competitor) queue(ctx context.Context, config *pgx.ConnConfig) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `select pg_advisory_lock($1, 1)`, floorClass); err != nil {
		return err
	}
	c.mark()
	<-ctx.Done()
	_, err = conn.Exec(context.WithoutCancel(ctx), `select pg_advisory_unlock($1, 1)`, floorClass)
	return err
}

const leads = "leads "

func (c Competitor) mark() {
	fmt.Fprintln(c.Out, leads+strconv.FormatInt(time.Now().UnixNano(), 10))
}

// readMark returns when the line says that the competitor began to lead. Another line is none of a competitor's.
func readMark(line string) (at time.Time, ok bool) {
	text, ok := strings.CutPrefix(line, leads)
	if !ok {
		return time.Time{}, false
	}
	ns, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(0, ns), err == nil
}
