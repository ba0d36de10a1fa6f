package listener

import "bytes"

// deliver puts notifications into the buffers of their channels' subscriptions: as many of one channel as follow one
// another go to one subscription after the other. Only the session's receiving goroutine calls it, so that it leaves
// the log, which may block, to Run's.
func (r *registry) deliver(batch []notification) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Received += uint64(len(batch))
	for len(batch) > 0 {
		n := 1
		for n < len(batch) && bytes.Equal(batch[n].channel, batch[0].channel) {
			n++
		}
		for _, s := range r.subscriptions[string(batch[0].channel)] {
			for i := range batch[:n] {
				if !s.offerLocked(batch[i].payload) {
					r.stats.Dropped++
				}
			}
		}
		batch = batch[n:]
	}
}

// episode is worth a line in the log: a subscriber fell behind, or caught up after it did.
type episode struct {
	channel    string
	overflowed bool
	dropped    uint64 // while it was behind
}

// maxEpisodes bounds what waits while Run's goroutine is held up.
const maxEpisodes = 1000

// noteLocked leaves an episode to Run's goroutine.
func (r *registry) noteLocked(e episode) {
	if len(r.episodes) < maxEpisodes {
		r.episodes = append(r.episodes, e)
	}
	r.wakeRun()
}

func (r *registry) takeEpisodes() []episode {
	r.mu.Lock()
	defer r.mu.Unlock()
	episodes := r.episodes
	r.episodes = nil
	return episodes
}

// logEpisodes logs what deliver has noted.
func (l *Listener) logEpisodes() {
	for _, e := range l.registry.takeEpisodes() {
		if e.overflowed {
			l.logger.Warn("subscriber is slow, dropping its messages", "channel", e.channel, "buffer", l.options.Buffer)
		} else {
			l.logger.Info("subscriber keeps up again", "channel", e.channel, "dropped", e.dropped)
		}
	}
}
