package eventlog

import (
	"strings"
	"time"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
)

const (
	// More keys than this are not kept in memory: then all count as blocked.
	maxBlocked = 100_000

	// How often to read whether they have become fewer.
	recountEvery = time.Minute

	maxCandidates = 256 // keys in one due query, and as many again of a scan
)

// keys is what the loop of a handler with OrderKey knows about the keys of its events. It does no input or output.
//
// The order of a key is kept in two places. In the queue, chains let one delivery of a key follow the other. Once one
// has failed, or is offloaded, the key is blocked: it has rows in pgsolo.delivery, and its later events go there too,
// as waiting, until no row is left. The lowest id of a key comes next (see cursor.Due). Three rules keep the two in
// line:
//
//   - A key is blocked from the moment at which the loop takes in the failure, before anything is written. The queue
//     hands out nothing of the key between the failure and that moment (queue.Take), and only the loop puts anything
//     into the queue.
//   - What a due query says of a key counts only if the query began after the end of the last write that put a row of
//     the key there, and none has to be written since. Otherwise a query that began before the failure of event 3 could
//     bring the waiting event 4, or find that the key has no rows. blocked has the number of that write.
//   - A key is unblocked only by such a query that finds no row of it. Only this leader, whose term the write checks,
//     makes one.
//
// A leader that begins has no chains, and reads the keys from the table before anything else. What was in a chain of
// its predecessor is in a gap of the cursor, and may come before rows of the same key that were offloaded: so the gaps
// are read, and what is found in blocked keys is put with the rows, before the first due query.
//
// blocked has as many keys as have unfinished deliveries, and a few that have had some, up to maxBlocked. Beyond that,
// all counts, and it has only those whose rows a query may miss.
type keys struct {
	blocked map[string]int64 // to the number of the write that puts its latest row into the table
	all     bool
	loading bool
	loadDue time.Time // while all: when to count them again

	candidates map[string]struct{} // keys that may have something due, or no row left
	scanning   bool                // all keys with waiting rows, from scannedTo on
	scannedTo  string
	scans      int       // how often that has begun
	scanDue    time.Time // when to scan a part without a reason
	recheck    []string  // keys of which a query was stale: candidates after the next write

	begun, ended int64     // writes
	stalledSince time.Time // workers have nothing to do while events wait behind others of their keys; zero: no
}

func newKeys() keys {
	return keys{blocked: map[string]int64{}, candidates: map[string]struct{}{}, scanning: true}
}

func (k *keys) isBlocked(key string) bool {
	if k.all {
		return true
	}
	_, ok := k.blocked[key]
	return ok
}

// block makes the later events of a key go to its rows. The next write has one of those rows.
func (k *keys) block(key string) {
	if _, ok := k.blocked[key]; !ok {
		key = strings.Clone(key) // of a page, which it would keep in memory
	}
	k.blocked[key] = k.begun + 1
	if len(k.blocked) > maxBlocked && !k.loading {
		if !k.all {
			k.all, k.loadDue = true, time.Now().Add(recountEvery)
		}
		for key, write := range k.blocked {
			if write <= k.ended {
				delete(k.blocked, key)
			}
		}
	}
}

// load takes in the keys with rows in the table, or as many of them as are too many.
func (k *keys) load(found []string) {
	for _, key := range found {
		if _, ok := k.blocked[key]; !ok {
			k.blocked[key] = 0
		}
	}
	k.loading, k.loadDue = false, time.Now().Add(recountEvery)
	k.all = len(k.blocked) > maxBlocked
	if k.all {
		for key, write := range k.blocked {
			if write <= k.ended {
				delete(k.blocked, key)
			}
		}
	}
}

// isStale says whether a due query that began when so many writes had ended may be wrong about a key. Then another
// query follows, after the write that it was too early for.
func (k *keys) isStale(key string, writes int64) bool {
	if k.blocked[key] <= writes {
		return false
	}
	if k.blocked[key] > k.ended {
		k.recheck = append(k.recheck, key)
	} else {
		k.consider(key)
	}
	return true
}

// written makes candidates of the keys that a query was too early for, and says whether there is a reason to query.
func (k *keys) written() bool {
	k.ended++
	for _, key := range k.recheck {
		k.consider(key)
	}
	k.recheck = k.recheck[:0]
	return len(k.candidates) > 0
}

// awaitTurn blocks the keys of deliveries that are due by their date and not by their turn, and returns those that are
// to wait for it: all but those about which the query may be wrong.
func (k *keys) awaitTurn(early []cursor.Early, writes int64) (waiting []int64) {
	var sure []cursor.Early
	for _, e := range early { // of one key there may be several
		if !k.isStale(e.Key, writes) {
			sure = append(sure, e)
		}
	}
	for _, e := range sure {
		k.block(e.Key)
		waiting = append(waiting, e.ID)
	}
	return waiting
}

// consider makes the next due query read whether something of the key is due.
func (k *keys) consider(key string) {
	switch {
	case key == "":
	case len(k.candidates) >= maxBlocked:
		k.scanAll() // finds it as well
	default:
		k.candidates[strings.Clone(key)] = struct{}{}
	}
}

// scanAll makes the next queries read all keys with waiting rows: other sessions may have changed what they wait for.
func (k *keys) scanAll() {
	k.scanning, k.scannedTo = true, ""
	k.scans++
}

// isEmpty says whether the handler has no rows in the table that keys know of.
func (k *keys) isEmpty() bool { return !k.all && len(k.blocked)+len(k.candidates) == 0 }

// ask adds to a query what it is to say about keys.
func (k *keys) ask(q *dueQuery, now time.Time) {
	q.Candidates = k.nextCandidates()
	if k.scanning || !now.Before(k.scanDue) {
		q.Scan, q.ScannedTo = maxCandidates, k.scannedTo
		k.scanDue = now.Add(cursor.DueEvery)
	}
}

// scanned takes in how far a query has come in its scan, and says whether there is a reason for another one at once.
func (k *keys) scanned(q *dueQuery, to string) bool {
	if q.Scan > 0 && q.scans == k.scans {
		k.scannedTo = to
		k.scanning = k.scanning && to != ""
	}
	return k.scanning || len(k.candidates) > 0
}

// nextCandidates takes some of the candidates.
func (k *keys) nextCandidates() (some []string) {
	for key := range k.candidates {
		if len(some) == maxCandidates {
			break
		}
		some = append(some, key)
		delete(k.candidates, key)
	}
	return some
}
