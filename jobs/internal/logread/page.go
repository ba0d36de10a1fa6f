package logread

import (
	"sort"
	"time"

	"github.com/pgsolo/pgsolo/jobs/internal/idset"
)

// Record is one row of the log, or one delivery that is to be retried. Several readers may hold those of a page at
// once: none of them writes to one. What differs between handlers is added when it is handed out.
type Record struct {
	ID        int64
	CreatedAt int64 // Unix time in microseconds
	Topic     string
	Key       string
	Payload   []byte
	Headers   []byte // JSON; nil where there are none
	Origin    string // of a delivery: what its idempotency key has in place of the id; mostly empty
}

// Page is the outcome of one read. It does not change once the read is done.
type Page struct {
	Records []Record  // those of the topic that may be handled now, ascending
	Later   []Later   // those of the topic whose deliver_at lies ahead
	Foreign idset.Set // the ids of rows of other topics
	Rows    int       // of all topics

	after    int64     // a read of new rows: it asked for those above this id
	ringSeen int64     // and began after this many rings
	present  idset.Set // the ids of all rows found: only then is a missing id a hole
	bytes    int
	cutOff   bool  // there may be more
	xmin     int64 // of the snapshot, for a read of holes
}

// Later is an event that is not to be handled before due.
type Later struct {
	Record
	Due time.Time
}

// highest is the id up to which the page shows what there is.
func (p *Page) highest() int64 {
	return max(p.after, p.present.Highest())
}

// above returns the part of the page above id.
func (p *Page) above(id int64) Page {
	if id <= p.after {
		return *p
	}
	part := *p
	part.after = id
	part.Records = p.Records[sort.Search(len(p.Records), func(i int) bool { return p.Records[i].ID > id }):]
	part.Later = p.Later[sort.Search(len(p.Later), func(i int) bool { return p.Later[i].ID > id }):]
	part.present, part.Foreign = p.present.Above(id), p.Foreign.Above(id)
	part.Rows = part.present.Size()
	return part
}
