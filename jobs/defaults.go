package jobs

// WithDefaults fills in what was left out. What is wrong stays as it is: New refuses it.
func (h Handler) WithDefaults() Handler {
	h = h.withPaceDefaults()
	if h.Channel == "" {
		h, _ = h.withTopicDefaults()
	}
	return h
}

// WithDefaults fills in what was left out. What is wrong stays as it is: New refuses it.
func (c Cron) WithDefaults() Cron {
	c = c.withDefaults()
	c.Retry = c.Retry.WithDefaults()
	return c
}

// WithDefaults fills in what was left out. What is wrong stays as it is: New refuses it.
func (r Retry) WithDefaults() Retry {
	r, _ = r.withDefaults()
	return r
}

// WithDefaults fills in what was left out, unless there is no breaker. What is wrong stays as it is: New refuses it.
func (b Breaker) WithDefaults() Breaker {
	b, _ = b.withDefaults()
	return b
}
