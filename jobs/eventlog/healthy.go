package eventlog

import "fmt"

// Healthy returns an error that names the first loop, of a handler or of the poll, that has not moved for 20 s while
// Run runs. Its leader should give up. A handler's function may take any time.
func (r *Runner) Healthy() error {
	for _, h := range r.handlers {
		if err := h.pulse.Check(fmt.Sprintf("the loop of handler %q", h.Name)); err != nil {
			return err
		}
	}
	return r.poll.Healthy()
}
