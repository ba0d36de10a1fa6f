package eventlog

import (
	"fmt"
)

// Healthy says whether every loop of the handlers has moved lately, while Run runs. A leader that it names should give
// up.
func (r *Runner) Healthy() error {
	for _, h := range r.handlers {
		if err := h.pulse.Check(fmt.Sprintf("the loop of handler %q", h.Name)); err != nil {
			return err
		}
	}
	return r.poll.Healthy()
}
