package txsession

import "slices"

// Share is what a runner has of the sessions. While others run that have none in use, it leaves one to each: however
// long its statements take, theirs go on. Where there are fewer sessions than runners, the first ones have them.
type Share struct {
	of   *Sessions
	busy int // with its handlers, or being opened or cleaned for them
}

// Share is for a runner with handlers that take sessions.
func (s *Sessions) Share() *Share { return &Share{of: s} }

// mayHave says whether a share may have one more in use. The caller holds mu.
func (s *Sessions) mayHave(share *Share) bool {
	if share.busy == 0 {
		return true
	}
	free := s.most - (s.open - len(s.idle))
	for _, other := range s.shares {
		if other != share && other.busy == 0 {
			free--
		}
	}
	return free > 0
}

func (s *Sessions) join(share *Share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shares = append(s.shares, share)
}

func (s *Sessions) leave(share *Share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shares = slices.DeleteFunc(s.shares, func(other *Share) bool { return other == share })
	s.lend()
}
