package listener

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// askSession is what the server says of the session: on what it listens, as a fingerprint, and how full the notification queue
// of all databases is, from 0 to 1. The cost of the first does not grow with the channels but for the server's look at their names, about a
// microsecond each.
const askSession = `select count(*), coalesce(sum(('x' || encode(substr(sha256(convert_to(c, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint), 0),
	pg_notification_queue_usage() from pg_listening_channels() c`

// The reasons for which a NOTIFY is refused that lie outside the session: somebody holds the lock that all of them take
// to commit, or the queue is full.
const (
	lockNotAvailable = "55P03"
	queueFull        = "54000"
)

// fingerprint tells one set of channels from another: how many there are, and the sum of a hash of each name.
type fingerprint struct{ count, sum uint64 }

func (f *fingerprint) add(channel string) { f.count, f.sum = f.count+1, f.sum+hash(channel) }

func (f *fingerprint) remove(channel string) { f.count, f.sum = f.count-1, f.sum-hash(channel) }

func hash(channel string) uint64 {
	sum := sha256.Sum256([]byte(channel))
	return uint64(binary.BigEndian.Uint32(sum[:4]))
}

func newProbeChannel() string { return fmt.Sprintf("pgsolo probe %016x", rand.Uint64()) }

// prove sends a NOTIFY to the session's private channel and waits until it has come back, and lets the server say on what
// the session listens. So a socket with nobody at its other end, a route that swallows packets, a backend that answers
// and does not deliver, and a session that was exchanged on the way are all found.
func (l *Listener) prove(ctx context.Context, s *session) error {
	sent := time.Now()
	s.probes++
	payload := strconv.FormatUint(s.probes, 10)
	row, err := s.exec(ctx, "notify "+pgx.Identifier{s.probe}.Sanitize()+", '"+payload+"'; "+askSession)
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && (refusal.Code == lockNotAvailable || refusal.Code == queueFull) {
		if !s.probeFailed {
			l.logger.Error("the server takes no NOTIFY from anybody; look for a session that is stuck in its commit, "+
				"or that listens and stays idle in a transaction", "error", err)
		}
		s.probeFailed = true
		return nil // the session has answered, and no other one would fare better
	}
	if err != nil {
		return fmt.Errorf("probe session: %w", err)
	}
	s.probeFailed = false
	for echo := ""; echo != payload; {
		if echo, err = waitFor(ctx, s, s.echoes, "a NOTIFY to itself"); err != nil {
			return fmt.Errorf("probe session: it answers but does not deliver: %w", err)
		}
	}
	usage, err := s.compare(row)
	if err != nil {
		return fmt.Errorf("probe session: %w", err)
	}
	l.proven(time.Since(sent), usage)
	l.watchQueue(usage)
	return nil
}

// compare holds what the server says the session listens on against what it was told to.
func (s *session) compare(row []string) (usage float64, err error) {
	var there fingerprint
	if len(row) != 3 {
		return 0, fmt.Errorf("the answer has %d columns instead of 3", len(row))
	}
	for i, value := range []*uint64{&there.count, &there.sum} {
		if *value, err = strconv.ParseUint(row[i], 10, 64); err != nil {
			return 0, fmt.Errorf("read the channels of the session: %w", err)
		}
	}
	if there != s.fingerprint {
		return 0, fmt.Errorf("it listens on %d channels that are not the %d asked for: somebody in between has exchanged or reset it",
			there.count, s.fingerprint.count)
	}
	if usage, err = strconv.ParseFloat(row[2], 64); err != nil {
		return 0, fmt.Errorf("read the usage of the queue: %w", err)
	}
	return usage, nil
}

// watchQueue warns once for each time that the queue fills up. PostgreSQL keeps each notification until every session that
// listens, in whatever database, has read it; when the queue is full, each transaction with a NOTIFY fails at its commit.
func (l *Listener) watchQueue(usage float64) {
	switch {
	case usage >= l.queueWarning && !l.queueFills:
		l.queueFills = true
		l.logger.Warn("the notification queue fills up, and once it is full every NOTIFY fails; look for a session that "+
			"listens and stays idle in a transaction", "usage", fmt.Sprintf("%.1f%%", 100*usage))
	case usage < l.queueWarning/2 && l.queueFills:
		l.queueFills = false
		l.logger.Info("the notification queue has emptied", "usage", fmt.Sprintf("%.1f%%", 100*usage))
	}
}
