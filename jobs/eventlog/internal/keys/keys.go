// Package keys is what the loop of a handler with OrderKey knows about the keys of its events. It does no input or
// output.
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
// blocked has as many keys as have unfinished deliveries, and a few that have had some, up to MaxBlocked. Beyond that,
// all counts, and it has only those whose rows a query may miss.
package keys

import (
	"strings"
	"time"
)

const (
	// MaxBlocked is how many keys are kept in memory. Where there are more, all count as blocked.
	MaxBlocked = 100_000

	// How often to read whether they have become fewer.
	recountEvery = time.Minute

	// MaxCandidates is how many keys one due query asks about, and as many again of a scan.
	MaxCandidates = 256
)

// Keys are those of one handler in one term. The handler's loop owns them.
type Keys struct {
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

	started, ended int64 // writes
}

// New knows of no key, and makes the first queries scan all of them.
func New() Keys {
	return Keys{blocked: map[string]int64{}, candidates: map[string]struct{}{}, scanning: true}
}

// Blocked says whether the later events of a key go to its rows.
func (k *Keys) Blocked(key string) bool {
	if k.all {
		return true
	}
	_, ok := k.blocked[key]
	return ok
}

// Block makes the later events of a key go to its rows. The next write has one of those rows.
func (k *Keys) Block(key string) {
	if _, ok := k.blocked[key]; !ok {
		key = strings.Clone(key) // of a page, which it would keep in memory
	}
	k.blocked[key] = k.started + 1
	if len(k.blocked) > MaxBlocked && !k.loading {
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

// Load takes in the keys with rows in the table, or as many of them as are too many.
func (k *Keys) Load(found []string) {
	for _, key := range found {
		if _, ok := k.blocked[key]; !ok {
			k.blocked[key] = 0
		}
	}
	k.loading, k.loadDue = false, time.Now().Add(recountEvery)
	k.all = len(k.blocked) > MaxBlocked
	if k.all {
		for key, write := range k.blocked {
			if write <= k.ended {
				delete(k.blocked, key)
			}
		}
	}
}

// Stale says whether a due query may be wrong about a key, since it began too early. Then another query follows, after
// the write that it was too early for.
func (k *Keys) Stale(key string, began Mark) bool {
	if k.blocked[key] <= began.Writes {
		return false
	}
	if k.blocked[key] > k.ended {
		k.recheck = append(k.recheck, key)
	} else {
		k.Consider(key)
	}
	return true
}

// Len is how many keys are known to be blocked.
func (k *Keys) Len() int { return len(k.blocked) }

// Unblock lets go of a key of which a query that is not stale has found no row.
func (k *Keys) Unblock(key string) { delete(k.blocked, key) }

// RecountAt is when to count again whether all keys still have to count as blocked; false: they do not.
func (k *Keys) RecountAt() (time.Time, bool) { return k.loadDue, k.all }

// BeginRecount keeps the keys that are blocked until Load, of which the count may know nothing.
func (k *Keys) BeginRecount() { k.loading = true }

// WriteBegins counts a write of progress, which has the rows of the keys that were blocked before.
func (k *Keys) WriteBegins() { k.started++ }

// Rechecks says whether a query was stale, and has to be repeated after the next write.
func (k *Keys) Rechecks() bool { return len(k.recheck) > 0 }

// Written makes candidates of the keys that a query was too early for, and says whether there is a reason to query.
func (k *Keys) Written() bool {
	k.ended++
	for _, key := range k.recheck {
		k.Consider(key)
	}
	k.recheck = k.recheck[:0]
	return len(k.candidates) > 0
}

// Consider makes the next due query read whether something of the key is due.
func (k *Keys) Consider(key string) {
	switch {
	case key == "":
	case len(k.candidates) >= MaxBlocked:
		k.ScanAll() // finds it as well
	default:
		k.candidates[strings.Clone(key)] = struct{}{}
	}
}

// ScanAll makes the next queries read all keys with waiting rows: other sessions may have changed what they wait for.
func (k *Keys) ScanAll() {
	k.scanning, k.scannedTo = true, ""
	k.scans++
}

// Empty says whether the handler has no rows in the table that keys know of.
func (k *Keys) Empty() bool { return !k.all && len(k.blocked)+len(k.candidates) == 0 }

// Mark says how far the keys were when a due query began.
type Mark struct {
	Scans  int   // of all keys with waiting rows, that had begun
	Writes int64 // that had ended
}

// Mark is taken when a due query begins.
func (k *Keys) Mark() Mark { return Mark{k.scans, k.ended} }

// Ask returns what a query is to say about keys: of the candidates, and of up to scan keys with waiting rows that
// follow another one. A part of a scan is due every so often without a reason.
func (k *Keys) Ask(now time.Time, every time.Duration) (candidates []string, scan int, from string) {
	if k.scanning || !now.Before(k.scanDue) {
		scan, from = MaxCandidates, k.scannedTo
		k.scanDue = now.Add(every)
	}
	return k.nextCandidates(), scan, from
}

// Scanned takes in how far a query has come in its scan, if it had one, and says whether there is a reason for another
// query at once.
func (k *Keys) Scanned(began Mark, scan int, to string) bool {
	if scan > 0 && began.Scans == k.scans {
		k.scannedTo = to
		k.scanning = k.scanning && to != ""
	}
	return k.scanning || len(k.candidates) > 0
}

// nextCandidates takes some of the candidates.
func (k *Keys) nextCandidates() (some []string) {
	for key := range k.candidates {
		if len(some) == MaxCandidates {
			break
		}
		some = append(some, key)
		delete(k.candidates, key)
	}
	return some
}
