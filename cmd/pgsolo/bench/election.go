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

func measureElection(ctx context.Context, r *run) error {
	if err := r.measureStandby(ctx); err != nil {
		return err
	}
	floor, err := r.newFloor(ctx)
	if err != nil {
		return err
	}
	defer floor.close()

	kill := []limit{atMost("ratio", 2), atMost("p99", 25)}
	many := fmt.Sprintf("kill_to_lead_%d_standbys", r.sizes.standbys)
	if err := r.measureRing(ctx, "kill_to_lead", 3, r.sizes.main, syscall.SIGKILL, floor, kill...); err != nil {
		return err
	}
	if err := r.measureRing(ctx, many, 1+r.sizes.standbys, r.sizes.main, syscall.SIGKILL, floor, kill...); err != nil {
		return err
	}
	if err := r.measureProgram(ctx, "kill_to_event", syscall.SIGKILL, floor, atMost("median", 20)); err != nil {
		return err
	}
	if err := r.measureRing(ctx, "handover_to_lead", 3, r.sizes.others, syscall.SIGTERM, floor, atMost("median", 10)); err != nil {
		return err
	}
	if err := r.measureProgram(ctx, "handover_to_event", syscall.SIGTERM, floor, atMost("median", 20)); err != nil {
		return err
	}
	return r.measureFreeze(ctx)
}

// deposer is a set of replicas whose leader can be ended; it says how long it took until the next one did what is
// measured.
type deposer interface {
	depose(ctx context.Context, signal os.Signal) (time.Duration, error)
}

// alternate takes n samples of the floor, if there is one, and of ours, in turn.
func (r *run) alternate(ctx context.Context, figure string, n int, signal os.Signal, floor *ring, ours deposer) (floors, samples []time.Duration, err error) {
	for i := range n {
		r.progress.step(figure, i+1, n)
		if floor != nil {
			took, err := floor.depose(ctx, signal)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: floor: %w", figure, err)
			}
			floors = append(floors, took)
		}
		took, err := ours.depose(ctx, signal)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", figure, err)
		}
		samples = append(samples, took)
	}
	return floors, samples, nil
}

// measureRing measures processes that only compete.
func (r *run) measureRing(ctx context.Context, figure string, members, n int, signal os.Signal, floor *ring, goal ...limit) error {
	ours, err := r.newRing(ctx, members, shortPause)
	if err != nil {
		return fmt.Errorf("%s: %w", figure, err)
	}
	defer ours.close()
	floors, samples, err := r.alternate(ctx, figure, n, signal, floor, ours)
	if err != nil {
		return err
	}
	return r.report(newFigure(figure, "ms", milliseconds(samples), milliseconds(floors), goal...))
}

// measureProgram measures replicas of the whole program.
func (r *run) measureProgram(ctx context.Context, figure string, signal os.Signal, floor *ring, goal ...limit) error {
	ours, err := r.newReplicas(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", figure, err)
	}
	defer ours.close()
	floors, samples, err := r.alternate(ctx, figure, r.sizes.others, signal, floor, ours)
	if err != nil {
		return err
	}
	return r.report(newFigure(figure, "ms", milliseconds(samples), milliseconds(floors), goal...))
}

// measureFreeze has no floor: the server lets nobody in before the lease is over. The last ping may have been just
// before the leader froze.
func (r *run) measureFreeze(ctx context.Context) error {
	const figure, ping = "freeze_to_lead", freezeLease / 5
	ours, err := r.newRing(ctx, 3, ping, "--lease", freezeLease.String())
	if err != nil {
		return fmt.Errorf("%s: %w", figure, err)
	}
	defer ours.close()
	_, samples, err := r.alternate(ctx, figure, r.sizes.freezes, syscall.SIGSTOP, nil, ours)
	if err != nil {
		return err
	}
	most := freezeLease + ping + 100*time.Millisecond
	return r.report(newFigure(figure, "ms", milliseconds(samples), nil, atMost("max", float64(most.Milliseconds()))))
}
