package listener

import "bytes"

// episode is worth a line in the log: a subscriber fell behind, or caught up after it did.
type episode struct {
	channel    string
	overflowed bool
	dropped    uint64 // while it was behind
}

// deliver hands notifications to the subscriptions of their channels, as many of one channel as follow one another to one
// subscription after the other. Only the session's receiving goroutine calls it, so that it leaves the log, which may block, to Run's.
func (l *Listener) deliver(batch []notification) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Received += uint64(len(batch))
	for len(batch) > 0 {
		n := 1
		for n < len(batch) && bytes.Equal(batch[n].channel, batch[0].channel) {
			n++
		}
		for _, s := range l.subscriptions[string(batch[0].channel)] {
			for i := range batch[:n] {
				if !s.offerLocked(batch[i].payload) {
					l.stats.Dropped++
				}
			}
		}
		batch = batch[n:]
	}
}

// maxEpisodes bounds what gathers while Run's goroutine is held up.
const maxEpisodes = 1000

// noteLocked leaves an episode to Run's goroutine.
func (l *Listener) noteLocked(e episode) {
	if len(l.episodes) < maxEpisodes {
		l.episodes = append(l.episodes, e)
	}
	l.wakeRun()
}

// logEpisodes logs what deliver has noted.
func (l *Listener) logEpisodes() {
	l.mu.Lock()
	episodes := l.episodes
	l.episodes = nil
	l.mu.Unlock()
	for _, e := range episodes {
		if e.overflowed {
			l.logger.Warn("subscriber is slow, dropping its messages", "channel", e.channel, "buffer", l.options.Buffer)
		} else {
			l.logger.Info("subscriber keeps up again", "channel", e.channel, "dropped", e.dropped)
		}
	}
}
