package jobs

import "errors"

// ErrFenced means that a leader of a newer term owns the rows: this one must write nothing more. The remedy is to stop.
var ErrFenced = errors.New("a newer leader has taken over")
