package wake

// Mode says how the leader learns of new events.
type Mode string

// The modes.
const (
	ModeNone  Mode = ""      // there is no leader, or it reads nothing
	modeArmed Mode = "armed" // producers ring
	modeBusy  Mode = "busy"  // too many rang: the log is read every few milliseconds instead
	ModeOff   Mode = "off"   // there is no bell: the log is polled
)
