package queue

// chains keep the deliveries of one key in a row, for a queue whose handler has an order: a key is in the map while one of its
// deliveries is ready or with a worker, and those that come meanwhile wait behind it. They belong to the queue, and its lock
// guards them. A queue without order has none.
type chains map[string]*chain // nil while nothing waits behind the first

type chain struct {
	rest      []Delivery // from head on
	head      int
	halted    bool // the first has failed: what waits behind it is returned with that result
	offloaded bool // the consumer is told of the first, whatever becomes of it
}

func (c *chain) length() int { return len(c.rest) - c.head }

func (c *chain) push(d Delivery) {
	if c.head > len(c.rest)/2 { // so that one that never ends does not grow
		n := copy(c.rest, c.rest[c.head:])
		clear(c.rest[n:])
		c.rest, c.head = c.rest[:n], 0
	}
	c.rest = append(c.rest, d)
}

func (c *chain) pop() Delivery {
	d := c.rest[c.head]
	c.rest[c.head] = Delivery{} // let go of the page
	c.head++
	return d
}

// admit makes a delivery ready, or lets it wait behind the earlier ones of its key.
func (q *Queue) admit(d Delivery) {
	if q.chains == nil || d.Record.Key == "" {
		q.ready = append(q.ready, d)
		return
	}
	first, ok := q.chains[d.Record.Key]
	if !ok {
		q.chains[d.Record.Key] = nil
		q.ready = append(q.ready, d)
		return
	}
	if first == nil {
		first = &chain{}
		q.chains[d.Record.Key] = first
	}
	first.push(d)
	q.blocked++
}

// follow makes the delivery ready that waits behind one that is done. It becomes the last of those that are ready, so that a
// key with many does not hold up the others.
func (q *Queue) follow(d Delivery) {
	key := d.Record.Key
	if q.chains == nil || key == "" {
		return
	}
	if c := q.chains[key]; c != nil && c.length() > 0 {
		q.ready = append(q.ready, c.pop())
		q.blocked--
		return
	}
	delete(q.chains, key)
}

// halt keeps what waits behind a failed delivery where it is, until Take.
func (q *Queue) halt(d Delivery) {
	if q.chains == nil || d.Record.Key == "" {
		return
	}
	if q.chains[d.Record.Key] == nil {
		q.chains[d.Record.Key] = &chain{}
	}
	q.chains[d.Record.Key].halted = true
}

// release ends the chain of a failed delivery, and returns what waited behind it.
func (q *Queue) release(d Delivery) []Delivery {
	c := q.chains[d.Record.Key]
	if c == nil {
		return nil
	}
	delete(q.chains, d.Record.Key)
	q.blocked -= c.length()
	return c.rest[c.head:]
}

// isOffloaded says whether the consumer is told of a delivery that has succeeded.
func (q *Queue) isOffloaded(d Delivery) bool {
	c := q.chains[d.Record.Key]
	return c != nil && c.offloaded
}

// IsStalled says whether workers have nothing to do while deliveries wait behind others of their keys.
func (q *Queue) IsStalled() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.idle > 0 && q.length() == 0 && q.blocked > 0
}

// Offload takes out what waits behind the slowest keys, which is at least half of all that waits.
func (q *Queue) Offload() (offloaded []Delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.chains) == 0 {
		return nil
	}
	fair := q.blocked / (2 * len(q.chains))
	for _, c := range q.chains {
		if c != nil && !c.halted && c.length() > fair {
			offloaded = append(offloaded, c.rest[c.head:]...)
			q.blocked -= c.length()
			c.rest, c.head, c.offloaded = nil, 0, true
		}
	}
	return offloaded
}

// Keys returns those with deliveries that wait or are with workers, as far as want selects them.
func (q *Queue) Keys(want func(key string) bool) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	keys := []string{} // nil would be null in SQL
	for key := range q.chains {
		if want(key) {
			keys = append(keys, key)
		}
	}
	return keys
}
