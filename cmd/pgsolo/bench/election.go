package bench

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"
)

const electionFigures = `From the end of a leader to its successor, and what a standby costs.

  kill_to_lead              kill -9 of the leader's process, to the lead function of its successor;
                            3 replicas
  kill_to_lead_50_standbys  the same with 50 standbys, each a process (10 with --quick)
  kill_to_event             kill -9 of the leader, to the first event that arrives at its successor's
                            webhook; 3 replicas of the whole program
  handover_to_lead          SIGTERM of an idle leader, to the lead function of its successor
  handover_to_event         the same with the whole program, to the first event
  freeze_to_lead            SIGSTOP of a leader with a lease of 1 s, to the lead function of its successor
  standby_connections       of an idle standby of the whole program, with those that it opens beforehand
  standby_election_connections
                            of these, in the queue of the lock
  standby_transactions      in the server, per second
  standby_xids              transaction ids used
  standby_log               bytes in the server's log, where the server tells (see pg_current_logfile)
  standby_memory            resident, on Linux

The floor of a kill is a session blocked in pg_advisory_lock, which gets it when the process that
holds it is killed. The floor of a handover is the same with pg_advisory_unlock at SIGTERM.`

// lease of the electors that are frozen.
const freezeLease = time.Second

// elections are the figures of one run that are about elections.
type elections struct{ *run }

func measureElection(ctx context.Context, of *run) error {
	r := elections{of}
	if err := r.measureStandby(ctx); err != nil {
		return err
	}
	floor, err := r.newFloor(ctx)
	if err != nil {
		return err
	}
	defer floor.close()

	many := 1 + r.sizes.standbys
	manyName := fmt.Sprintf("kill_to_lead_%d_standbys", r.sizes.standbys)
	kill := []limit{atMost("ratio", 2), atMost("p99", 25)}
	handover, event := []limit{atMost("median", 10)}, []limit{atMost("median", 20)}
	for _, figure := range []struct {
		competitors int // 0: replicas of the whole program
		takeovers
	}{
		{3, takeovers{"kill_to_lead", r.sizes.main, syscall.SIGKILL, floor, kill}},
		{many, takeovers{manyName, r.sizes.main, syscall.SIGKILL, floor, kill}},
		{0, takeovers{"kill_to_event", r.sizes.others, syscall.SIGKILL, floor, event}},
		{3, takeovers{"handover_to_lead", r.sizes.others, syscall.SIGTERM, floor, handover}},
		{0, takeovers{"handover_to_event", r.sizes.others, syscall.SIGTERM, floor, event}},
	} {
		measure := r.measureProgram
		if n := figure.competitors; n > 0 {
			measure = func(ctx context.Context, of takeovers) error { return r.measureCompetitors(ctx, n, of) }
		}
		if err := measure(ctx, figure.takeovers); err != nil {
			return err
		}
	}
	return r.measureFreeze(ctx)
}

// takeovers are the samples of one figure.
type takeovers struct {
	figure string
	n      int
	signal os.Signal    // which ends each leader
	floor  *competitors // nil: there is none
	goal   []limit
}

// contenders are replicas whose leader can be ended; takeOver does, and returns how long it took until the next one did
// what is measured.
type contenders interface {
	takeOver(ctx context.Context, signal os.Signal) (time.Duration, error)
}

// measureTakeovers has samples of the floor, if there is one, and of ours, in turn.
func (r elections) measureTakeovers(ctx context.Context, of takeovers, ours contenders) error {
	var floors, samples []time.Duration
	for i := range of.n {
		r.progress.step(of.figure, i+1, of.n)
		if of.floor != nil {
			took, err := of.floor.takeOver(ctx, of.signal)
			if err != nil {
				return fmt.Errorf("%s: floor: %w", of.figure, err)
			}
			floors = append(floors, took)
		}
		took, err := ours.takeOver(ctx, of.signal)
		if err != nil {
			return fmt.Errorf("%s: %w", of.figure, err)
		}
		samples = append(samples, took)
	}
	return r.report(newFigure(of.figure, "ms", milliseconds(samples), milliseconds(floors), of.goal...))
}

// measureCompetitors measures processes that do nothing but compete.
func (r elections) measureCompetitors(ctx context.Context, members int, of takeovers) error {
	ours, err := r.newCompetitors(ctx, members, shortPause)
	if err != nil {
		return fmt.Errorf("%s: %w", of.figure, err)
	}
	defer ours.close()
	return r.measureTakeovers(ctx, of, ours)
}

// measureProgram measures replicas of the whole program.
func (r elections) measureProgram(ctx context.Context, of takeovers) error {
	ours, err := r.newReplicas(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", of.figure, err)
	}
	defer ours.close()
	return r.measureTakeovers(ctx, of, ours)
}

// measureFreeze has no floor: the server gives the lock to no other session before the lease is over. The last ping may
// have been just before the leader froze.
func (r elections) measureFreeze(ctx context.Context) error {
	const (
		figure, ping = "freeze_to_lead", freezeLease / 5
		most         = freezeLease + ping + 100*time.Millisecond
	)
	ours, err := r.newCompetitors(ctx, 3, ping, "--lease", freezeLease.String())
	if err != nil {
		return fmt.Errorf("%s: %w", figure, err)
	}
	defer ours.close()
	goal := []limit{atMost("max", float64(most.Milliseconds()))}
	return r.measureTakeovers(ctx, takeovers{figure, r.sizes.freezes, syscall.SIGSTOP, nil, goal}, ours)
}
