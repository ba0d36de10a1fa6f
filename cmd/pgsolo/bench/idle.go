package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/pgsolo/pgsolo/listener"
)

const (
	// idleProbe is the interval of the probes while an idle listener is watched: the default would take a minute for a
	// few of them.
	idleProbe = 250 * time.Millisecond

	// idleWatch is how long the processes' time is counted in each phase.
	idleWatch = 2 * time.Second
)

// idleCost is what an idle listener costs. The times are per probe.
type idleCost struct {
	transactions float64       // per second
	client       time.Duration // of this process
	server       time.Duration // of the session's; 0: it cannot be known
}

// measureIdle has one listener, which has one channel and 1,000 in turn.
func (r listeners) measureIdle(ctx context.Context) (err error) {
	l, err := r.listen(ctx, listener.Options{ProbeInterval: idleProbe})
	if err != nil {
		return err
	}
	running := true
	defer func() {
		if running {
			err = errors.Join(err, l.close())
		}
	}()
	channels := channelNames(manyChannels)
	if _, err := l.subscribe(ctx, channels[:1]); err != nil {
		return err
	}
	pid, statement, err := r.listenerSession(ctx)
	if err != nil {
		return err
	}
	var one, many []idleCost
	for i := range r.sizes.phases {
		r.progress.step("idle", i+1, r.sizes.phases)
		if one, err = r.watchIdle(ctx, pid, one); err != nil {
			return err
		}
		more, err := l.subscribe(ctx, channels[1:])
		if err != nil {
			return err
		}
		if many, err = r.watchIdle(ctx, pid, many); err != nil {
			return err
		}
		for _, s := range more {
			s.Close()
		}
	}
	running = false
	if err := l.close(); err != nil {
		return err
	}
	if err := r.measureProbe(ctx, statement, channels); err != nil {
		return err
	}
	return r.reportIdle(one, many)
}

// listenerSession returns the process of the listener's session, and the statement of its probes.
func (r listeners) listenerSession(ctx context.Context) (pid int, statement string, err error) {
	const selectSession = `select pid, query from pg_stat_activity where datname = $1 and application_name = $2`
	err = await(ctx, "a probe", func(ctx context.Context) (bool, error) {
		err := r.admin.QueryRow(ctx, selectSession, r.own.Config().Database, listenerName).Scan(&pid, &statement)
		return strings.HasPrefix(statement, "select pg_notify("), err
	})
	return pid, statement, err
}

// watchIdle adds what one phase costs. The server counts transactions late and in leaps, so it is looked at from one
// leap to another; nothing looks while the processes' time is counted.
func (r listeners) watchIdle(ctx context.Context, pid int, costs []idleCost) ([]idleCost, error) {
	first, err := r.awaitLeap(ctx)
	if err != nil {
		return nil, err
	}
	began, client, server := time.Now(), ownTime(), r.processTime(pid)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(idleWatch):
	}
	client, server = ownTime()-client, r.processTime(pid)-server
	probes := float64(time.Since(began)) / float64(idleProbe)
	last, err := r.awaitLeap(ctx)
	if err != nil {
		return nil, err
	}
	return append(costs, idleCost{
		transactions: float64(last.transactions-first.transactions) / last.at.Sub(first.at).Seconds(),
		client:       time.Duration(float64(client) / probes),
		server:       time.Duration(float64(server) / probes),
	}), nil
}

// awaitLeap returns when the server has counted transactions anew.
func (r *run) awaitLeap(ctx context.Context) (now cost, err error) {
	before, err := r.readCost(ctx, false)
	if err != nil {
		return now, err
	}
	return now, await(ctx, "the server to count", func(ctx context.Context) (bool, error) {
		now, err = r.readCost(ctx, false)
		return now.transactions > before.transactions, err
	})
}

// measureProbe runs the listener's own statement, once the listener has ended, on connections that listen on its
// private channel too.
func (r listeners) measureProbe(ctx context.Context, statement string, channels []string) error {
	const figure = "probe"
	parts := strings.SplitN(statement, `'`, 3)
	if len(parts) < 3 {
		return fmt.Errorf("%s: no channel in %q", figure, statement)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s: not done within %s", figure, patience))
	defer cancel()
	var took [2][]time.Duration
	for i, n := range []int{1, manyChannels} {
		conn, _, err := r.bare(ctx, append([]string{parts[1]}, channels[:n]...))
		if err != nil {
			return fmt.Errorf("%s: %w", figure, err)
		}
		defer conn.Close(context.WithoutCancel(ctx))
		for j := range r.sizes.main {
			r.progress.step(figure, j+1, r.sizes.main)
			began := time.Now()
			if _, err := conn.PgConn().Exec(ctx, statement).ReadAll(); err != nil {
				return fmt.Errorf("%s: %w", figure, err)
			}
			if _, err := conn.WaitForNotification(ctx); err != nil {
				return fmt.Errorf("%s: %w", figure, err)
			}
			took[i] = append(took[i], time.Since(began))
		}
	}
	return r.report(newFigure(figure, "ms", milliseconds(took[1]), milliseconds(took[0])))
}

func (r listeners) reportIdle(one, many []idleCost) error {
	each := func(costs []idleCost, of func(idleCost) float64) (all []float64) {
		for _, c := range costs {
			all = append(all, of(c))
		}
		return all
	}
	transactions := func(c idleCost) float64 { return c.transactions }
	server := func(c idleCost) float64 { return float64(c.server.Microseconds()) / 1000 }
	client := func(c idleCost) float64 { return float64(c.client.Microseconds()) / 1000 }
	figures := []Figure{
		newFigure("idle_transactions", "1/s", each(many, transactions), each(one, transactions), atMost("ratio", 1.1)),
	}
	if one[0].server > 0 {
		figures = append(figures, newFigure("idle_server_cpu", "ms", each(many, server), each(one, server)))
	}
	figures = append(figures, newFigure("idle_client_cpu", "ms", each(many, client), each(one, client)))
	return r.report(figures...)
}

// ownTime is the processor time of this process.
func ownTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// processTime is the processor time of a server's process, where the system tells it to the nanosecond and it is this
// machine's: its title has the name of the bench's database.
func (r *run) processTime(pid int) time.Duration {
	title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(title), r.own.Config().Database) {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		return 0
	}
	var ns int64
	if _, err := fmt.Sscan(string(text), &ns); err != nil {
		return 0
	}
	return time.Duration(ns)
}
