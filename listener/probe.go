package listener

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// askSession is what the server says of the session: on how many channels it listens, a fingerprint of their names, and
// how full the notification queue of all databases is, from 0 to 1. It costs the server about a tenth of a microsecond
// for each channel.
const askSession = `select count(*), coalesce(sum(hashtext(c)), 0), pg_notification_queue_usage() ` +
	`from pg_listening_channels() c`

// The reasons for which a NOTIFY is refused that lie outside the session: another session holds the lock that each
// takes to commit, or the queue is full.
const (
	lockNotAvailable = "55P03"
	queueFull        = "54000"
)

// queueWarning is the usage of the notification queue that is worth a warning. PostgreSQL itself warns who sends, from
// one half on.
const queueWarning = 0.1

func newProbeChannel() string { return fmt.Sprintf("pgsolo probe %016x", rand.Uint64()) }

// probe sends a NOTIFY to the session's private channel and waits until it has come back, and lets the server say on
// what the session listens. So a half-open socket, a route that swallows packets, a backend that answers and does not
// deliver, and a session that was exchanged on the way are all found.
func (l *Listener) probe(ctx context.Context, s *session) error {
	sent := time.Now()
	payload := strconv.FormatUint(s.probes.Add(1), 10)
	// Not NOTIFY: pg_stat_statements would have each as a statement of its own.
	row, err := s.exec(ctx, "select pg_notify('"+s.probeChannel+"', '"+payload+"'); "+askSession)
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	if ok && (refusal.Code == lockNotAvailable || refusal.Code == queueFull) {
		if !s.probeFailed {
			l.logger.Error("the server takes no NOTIFY from anybody; look for a session that is stuck in its commit, "+
				"or that listens and stays idle in a transaction", "error", err)
		}
		s.probeFailed, s.probed = true, true
		return nil // the session has answered, and another one would be refused, too
	}
	if err != nil {
		return fmt.Errorf("probe session: %w", err)
	}
	s.probeFailed, s.probed = false, true
	for echo := ""; echo != payload; {
		if echo, err = waitFor(ctx, s, s.echoes, "a NOTIFY to itself", 1); err != nil { // it comes before the answer
			return fmt.Errorf("probe session: it answers but does not deliver: %w", err)
		}
	}
	usage, err := s.checkChannels(row)
	if err != nil {
		return fmt.Errorf("probe session: %w", err)
	}
	l.registry.probed(time.Since(sent), usage)
	if notice := s.notice.Swap(nil); notice != nil { // by Run's goroutine, since a log may block
		l.logger.Debug("notice of the server", "severity", notice.Severity, "message", notice.Message,
			"detail", notice.Detail)
	}
	l.watchQueue(usage)
	return nil
}

// checkChannels compares the channels that the server says the session listens on with those it was asked for.
func (s *session) checkChannels(row []string) (usage float64, err error) {
	if len(row) != 3 {
		return 0, fmt.Errorf("the answer has %d columns instead of 3", len(row))
	}
	count, names := row[0], row[1]
	if count != strconv.Itoa(s.channels) || s.names != "" && names != s.names {
		return 0, fmt.Errorf("it listens on %s channels that are not the %d asked for: "+
			"somebody in between has exchanged or reset it", count, s.channels)
	}
	s.names = names
	if usage, err = strconv.ParseFloat(row[2], 64); err != nil {
		return 0, fmt.Errorf("read the usage of the queue: %w", err)
	}
	return usage, nil
}

// watchQueue warns once for each time that the queue fills up. PostgreSQL keeps each notification until every session
// that listens, in whatever database, has read it; when the queue is full, each transaction with a NOTIFY fails at its
// commit.
func (l *Listener) watchQueue(usage float64) {
	switch {
	case usage >= l.queueWarning && !l.queueFills:
		l.queueFills = true
		l.logger.Warn("the notification queue fills up, and once it is full every NOTIFY fails; "+
			"look for a session that listens and stays idle in a transaction",
			"usage", fmt.Sprintf("%.1f%%", 100*usage))
	case usage < l.queueWarning/2 && l.queueFills:
		l.queueFills = false
		l.logger.Info("the notification queue has emptied", "usage", fmt.Sprintf("%.1f%%", 100*usage))
	}
}
