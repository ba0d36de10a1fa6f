package queue

// chains keep the deliveries of one key in a row, for a queue whose handler has an order: a key is there while one of
// its deliveries is ready or with a worker, and those that come meanwhile wait behind it. They belong to the queue, and
// its lock guards them. A queue without order has none. Deliveries without a key pass.
type chains struct {
	byKey   map[string]*chain // nil while nothing waits behind the first
	blocked int               // deliveries that wait
}

type chain struct {
	rest      []Delivery // from head on
	head      int
	halted    bool // the first has failed: what waits behind it is returned with that result
	offloaded bool // the first is a result of its own, whatever becomes of it
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

// admit says whether a delivery is ready. Otherwise it waits behind the earlier ones of its key.
func (all *chains) admit(d Delivery) (ready bool) {
	key := d.Record.Key
	if key == "" {
		return true
	}
	c, ok := all.byKey[key]
	if !ok {
		all.byKey[key] = nil
		return true
	}
	if c == nil {
		c = &chain{}
		all.byKey[key] = c
	}
	c.push(d)
	all.blocked++
	return false
}

// follow returns the delivery that waits behind one that is done.
func (all *chains) follow(d Delivery) (next Delivery, ok bool) {
	key := d.Record.Key
	if key == "" {
		return Delivery{}, false
	}
	if c := all.byKey[key]; c != nil && c.length() > 0 {
		all.blocked--
		return c.pop(), true
	}
	delete(all.byKey, key)
	return Delivery{}, false
}

// halt keeps what waits behind a failed delivery where it is, until release.
func (all *chains) halt(d Delivery) {
	key := d.Record.Key
	if key == "" {
		return
	}
	if all.byKey[key] == nil {
		all.byKey[key] = &chain{}
	}
	all.byKey[key].halted = true
}

// release ends the chain of a failed delivery, and returns what waited behind it.
func (all *chains) release(d Delivery) []Delivery {
	c := all.byKey[d.Record.Key]
	if c == nil {
		return nil
	}
	delete(all.byKey, d.Record.Key)
	all.blocked -= c.length()
	return c.rest[c.head:]
}

// isOffloaded says whether what waited behind the delivery was taken out by offload.
func (all *chains) isOffloaded(d Delivery) bool {
	c := all.byKey[d.Record.Key]
	return c != nil && c.offloaded
}

// offload takes out what waits behind the slowest keys, which is at least half of all that waits.
func (all *chains) offload() (offloaded []Delivery) {
	if len(all.byKey) == 0 {
		return nil
	}
	fair := all.blocked / (2 * len(all.byKey))
	for _, c := range all.byKey {
		if c != nil && !c.halted && c.length() > fair {
			offloaded = append(offloaded, c.rest[c.head:]...)
			all.blocked -= c.length()
			c.rest, c.head, c.offloaded = nil, 0, true
		}
	}
	return offloaded
}

// clear forgets all.
func (all *chains) clear() {
	clear(all.byKey)
	all.blocked = 0
}
