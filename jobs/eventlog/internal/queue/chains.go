package queue

// chains keep the deliveries of one key in a row, for a queue whose handler has OrderKey: a key is in the map while one of its
// deliveries is ready or in the hands of a worker, and those that come meanwhile wait behind it. They belong to the queue,
// and its lock guards them. A queue without order has none.
type chains map[string]*chain // nil while nothing waits behind the first

type chain struct {
	rest    []Delivery // from head on
	head    int
	halted  bool // the first has failed: what waits behind it is handed to the consumer with that result
	spilled bool // the consumer wants to hear of the first, whatever becomes of it
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
	if q.Chains == nil || d.Record.Key == "" {
		q.waiting = append(q.waiting, d)
		return
	}
	first, ok := q.Chains[d.Record.Key]
	if !ok {
		q.Chains[d.Record.Key] = nil
		q.waiting = append(q.waiting, d)
		return
	}
	if first == nil {
		first = &chain{}
		q.Chains[d.Record.Key] = first
	}
	first.push(d)
	q.Behind++
}

// follow makes the delivery ready that waits behind one that is done. It becomes the last of those that are ready, so that a
// key with many does not hold up the others.
func (q *Queue) follow(d Delivery) {
	key := d.Record.Key
	if q.Chains == nil || key == "" {
		return
	}
	if c := q.Chains[key]; c != nil && c.length() > 0 {
		q.waiting = append(q.waiting, c.pop())
		q.Behind--
		return
	}
	delete(q.Chains, key)
}

// halt keeps what waits behind a failed delivery where it is, until take.
func (q *Queue) halt(d Delivery) {
	if q.Chains == nil || d.Record.Key == "" {
		return
	}
	if q.Chains[d.Record.Key] == nil {
		q.Chains[d.Record.Key] = &chain{}
	}
	q.Chains[d.Record.Key].halted = true
}

// release ends the chain of a failed delivery, and returns what waited behind it.
func (q *Queue) release(d Delivery) []Delivery {
	c := q.Chains[d.Record.Key]
	if c == nil {
		return nil
	}
	delete(q.Chains, d.Record.Key)
	q.Behind -= c.length()
	return c.rest[c.head:]
}

// isSpilled says whether the consumer wants to hear of a delivery that has succeeded.
func (q *Queue) isSpilled(d Delivery) bool {
	c := q.Chains[d.Record.Key]
	return c != nil && c.spilled
}

// Starves says whether workers have nothing to do while deliveries wait behind others of their keys.
func (q *Queue) Starves() bool {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	return q.idle > 0 && q.Length() == 0 && q.Behind > 0
}

// Spill takes out what waits behind the slowest keys, which is at least half of all that waits.
func (q *Queue) Spill() (spilled []Delivery) {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	if len(q.Chains) == 0 {
		return nil
	}
	fair := q.Behind / (2 * len(q.Chains))
	for _, c := range q.Chains {
		if c != nil && !c.halted && c.length() > fair {
			spilled = append(spilled, c.rest[c.head:]...)
			q.Behind -= c.length()
			c.rest, c.head, c.spilled = nil, 0, true
		}
	}
	return spilled
}

// InHand returns the keys, of those that want selects, with deliveries in the queue or in the hands of workers.
func (q *Queue) InHand(want func(key string) bool) []string {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	keys := []string{} // nil would be null in SQL
	for key := range q.Chains {
		if want(key) {
			keys = append(keys, key)
		}
	}
	return keys
}
