package jobs

// chains keep the deliveries of one key in a row, for a queue whose handler has OrderKey: a key is in the map while one of its
// deliveries is ready or in the hands of a worker, and those that come meanwhile wait behind it. They belong to the queue,
// and its lock guards them. A queue without order has none.
type chains map[string]*chain // nil while nothing waits behind the first

type chain struct {
	rest    []delivery // from head on
	head    int
	halted  bool // the first has failed: what waits behind it is handed to the consumer with that result
	spilled bool // the consumer wants to hear of the first, whatever becomes of it
}

func (c *chain) length() int { return len(c.rest) - c.head }

func (c *chain) push(d delivery) {
	if c.head > len(c.rest)/2 { // so that one that never ends does not grow
		n := copy(c.rest, c.rest[c.head:])
		clear(c.rest[n:])
		c.rest, c.head = c.rest[:n], 0
	}
	c.rest = append(c.rest, d)
}

func (c *chain) pop() delivery {
	d := c.rest[c.head]
	c.rest[c.head] = delivery{} // let go of the page
	c.head++
	return d
}

// admit makes a delivery ready, or lets it wait behind the earlier ones of its key.
func (q *queue) admit(d delivery) {
	if q.chains == nil || d.record.key == "" {
		q.waiting = append(q.waiting, d)
		return
	}
	first, ok := q.chains[d.record.key]
	if !ok {
		q.chains[d.record.key] = nil
		q.waiting = append(q.waiting, d)
		return
	}
	if first == nil {
		first = &chain{}
		q.chains[d.record.key] = first
	}
	first.push(d)
	q.behind++
}

// follow makes the delivery ready that waits behind one that is done. It becomes the last of those that are ready, so that a
// key with many does not hold up the others.
func (q *queue) follow(d delivery) {
	key := d.record.key
	if q.chains == nil || key == "" {
		return
	}
	if c := q.chains[key]; c != nil && c.length() > 0 {
		q.waiting = append(q.waiting, c.pop())
		q.behind--
		return
	}
	delete(q.chains, key)
}

// halt keeps what waits behind a failed delivery where it is, until take.
func (q *queue) halt(d delivery) {
	if q.chains == nil || d.record.key == "" {
		return
	}
	if q.chains[d.record.key] == nil {
		q.chains[d.record.key] = &chain{}
	}
	q.chains[d.record.key].halted = true
}

// release ends the chain of a failed delivery, and returns what waited behind it.
func (q *queue) release(d delivery) []delivery {
	c := q.chains[d.record.key]
	if c == nil {
		return nil
	}
	delete(q.chains, d.record.key)
	q.behind -= c.length()
	return c.rest[c.head:]
}

// isSpilled says whether the consumer wants to hear of a delivery that has succeeded.
func (q *queue) isSpilled(d delivery) bool {
	c := q.chains[d.record.key]
	return c != nil && c.spilled
}

// starves says whether workers have nothing to do while deliveries wait behind others of their keys.
func (q *queue) starves() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.idle > 0 && q.length() == 0 && q.behind > 0
}

// spill takes out what waits behind the slowest keys, which is at least half of all that waits.
func (q *queue) spill() (spilled []delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.chains) == 0 {
		return nil
	}
	fair := q.behind / (2 * len(q.chains))
	for _, c := range q.chains {
		if c != nil && !c.halted && c.length() > fair {
			spilled = append(spilled, c.rest[c.head:]...)
			q.behind -= c.length()
			c.rest, c.head, c.spilled = nil, 0, true
		}
	}
	return spilled
}

// inHand returns the keys, of those that want selects, with deliveries in the queue or in the hands of workers.
func (q *queue) inHand(want func(key string) bool) []string {
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
