package wake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// errLogGoneBack ends the leadership: ids that were seen will be given out once more, or have been, to events that no
// consumer would read.
var errLogGoneBack = errors.New("the event log's sequence has gone back, " +
	"as after TRUNCATE … RESTART IDENTITY, a restore of some tables " +
	"or a failover to a replica that had lost commits: the cursors have to be compared with the log")

// sound is what the poll knows of whether ids are given out once.
//
// Each poll looks for an event that has an id up to a proof, and is newer than it. The first proofs are what the
// cursors have noted, and what the leader before has written down: ids may be given out again by transactions that had
// not ended at the claim. A later poll is a better proof, since more ids had been given out by then. It becomes the
// only one once every transaction that may have such an id has ended, and none of them has brought an event that
// contradicts those before. So ids that are given out again are found also where their transactions end later.
//
// Not found are ids that were given out for the first time since the latest proof, and for the second time within one
// interval between two polls.
type sound struct {
	epoch  int64         // of the log, that this is about
	claims int           // of this leader, that the proofs have taken in
	latest logread.Point // the latest poll, with the xmax of its snapshot
	proofs []logread.Point
	next   logread.Point // is to be the proof; At is nil: none is
	taken  time.Time     // when next was
	blind  bool          // the role may not write down what a proof shows
}

// proveEvery is how often the poll takes the number of a transaction for a proof, while the log grows.
const proveEvery = time.Second

// checkSound returns errLogGoneBack where the sequence has gone back, or is below an id that a consumer has seen, or
// where a claim has found that it had gone back after another consumer had claimed. Until when it had not is written
// down for the next claim: this leader may yet write what it has done.
func (p *Poll) checkSound(ctx context.Context, e *end, seen int64) error {
	if e.refusal != "" { // somebody has altered it
		return fmt.Errorf("%w: %s", jobs.ErrSchema, e.refusal)
	}
	if p.claimedBefore(e.epoch) {
		return errLogGoneBack
	}
	if p.epoch != e.epoch { // which a claim of this leader has found
		p.sound = sound{epoch: e.epoch, blind: p.blind}
	} else if e.last < max(p.latest.ID, seen) || !p.blind && (e.passed || e.last < p.highest().ID) {
		if p.report(ctx, e, seen) {
			return errLogGoneBack
		}
	}
	p.latest = logread.Point{ID: e.last, At: &e.at, Number: &e.xmax}
	switch {
	case p.takeClaims(e):
		p.next = logread.Point{} // these are to be looked at first
	case p.next.At != nil && e.xmin >= *p.next.Number:
		p.proofs, p.next = []logread.Point{p.next}, logread.Point{}
	}
	if p.claims == 0 {
		return nil
	}
	highest := p.highest()
	if highest.ID > e.checked.ID {
		p.writeProof(ctx, e.epoch, highest)
	}
	if e.last <= highest.ID || p.next.At != nil || time.Since(p.taken) < proveEvery {
		return nil
	}
	number, err := p.transactionNumber(ctx)
	p.next, p.taken = logread.Point{ID: e.last, At: &e.at, Number: &number}, time.Now()
	return err
}

// claimedBefore says whether a consumer has claimed under an earlier epoch.
func (p *Poll) claimedBefore(epoch int64) bool {
	return slices.ContainsFunc(p.Consumers, func(c Consumer) bool {
		claim := c.Claim()
		return claim != nil && claim.Epoch < epoch
	})
}

// takeClaims makes proofs of what claims have found that are new, and says whether there are any. A poll that did not
// know of them yet has proved nothing about them.
func (p *Poll) takeClaims(e *end) bool {
	var best logread.Point
	claims := 0
	for _, c := range p.Consumers {
		if claim := c.Claim(); claim != nil && claim.Epoch == e.epoch {
			claims++
			if claim.ID > best.ID || claim.ID == best.ID && best.At != nil && claim.At.Before(*best.At) {
				best = claim.Point
			}
		}
	}
	news := claims > p.claims
	p.claims = claims
	if news {
		p.proofs = slices.DeleteFunc([]logread.Point{best, e.checked}, func(p logread.Point) bool { return p.ID == 0 })
	}
	return news
}

// points are the proofs, and the one that is to be: what contradicts that is found at once.
func (p *Poll) points() []logread.Point {
	if p.next.At == nil {
		return p.proofs
	}
	return append(slices.Clone(p.proofs), p.next)
}

// highest is the proof about the most ids.
func (p *Poll) highest() (highest logread.Point) {
	for _, proof := range p.proofs {
		if proof.ID > highest.ID {
			highest = proof
		}
	}
	return highest
}

// earliest is the proof that was made first.
func (p *Poll) earliest() (earliest logread.Point) {
	for _, proof := range p.points() {
		if earliest.At == nil || proof.At.Before(*earliest.At) {
			earliest = proof
		}
	}
	return earliest
}

const (
	checkLog    = `select pgsolo.check_log($1, true, $2, $3::bigint::text::xid8)`
	noteChecked = `select pgsolo.note_checked($1, $2, $3, $4::bigint::text::xid8)`
)

// report writes down until when the sequence had not gone back, and returns false where the leader goes on. A claim
// finds the rest out by itself, so that a report which fails is missed only where the sequence has passed all ids
// again.
func (p *Poll) report(ctx context.Context, e *end, seen int64) bool {
	until := p.latest
	if e.passed || until.At == nil { // it may have gone back before, by transactions that had not ended
		until = p.earliest()
	}
	err := pg.Try(ctx, func(ctx context.Context) error {
		_, err := p.DB.Exec(ctx, checkLog, e.epoch, until.At, until.Number)
		return err
	})
	if err == nil {
		return true
	}
	p.Logger.Error("the event log has gone back, and that cannot be written down",
		"error", p.DB.NameGrants(ctx, err))
	if pg.IsNotAllowed(err) && e.last >= max(p.latest.ID, seen) { // the next leader would find the same, and so on
		p.blind = true
		return false
	}
	return true
}

// writeProof leaves a proof to other leaders. They go on without.
func (p *Poll) writeProof(ctx context.Context, epoch int64, proof logread.Point) {
	if p.blind {
		return
	}
	err := pg.Try(ctx, func(ctx context.Context) error {
		_, err := p.DB.Exec(ctx, noteChecked, epoch, proof.ID, proof.At, proof.Number)
		return err
	})
	if err != nil {
		p.Logger.Debug("how far the event log was checked is not written down", "error", err)
		p.blind = pg.IsNotAllowed(err)
	}
}
