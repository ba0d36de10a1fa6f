package demo

import (
	"fmt"
	"sync"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
)

const (
	restartAfter = time.Second     // how long a replica that ended stays away, as with an orchestrator
	stopWithin   = 5 * time.Second // how long a replica that is told to stop may take
	outputKept   = 4 << 10         // bytes
)

// member is one `pgsolo run`, started again whenever it ends.
type member struct {
	number  int
	command fleet.Command

	mu      sync.Mutex     // guards process
	process *fleet.Process // nil while it is away
}

// newMembers prepares n replicas.
func newMembers(n int, databaseURL, witnessURL string) (members []*member) {
	command := fleet.Replica(config, "DATABASE_URL="+databaseURL, "WITNESS="+witnessURL)
	command.Keep = outputKept
	for i := range n {
		members = append(members, &member{number: i + 1, command: command})
	}
	return members
}

// keep runs the replica until stop is closed; then it is told to stop, and killed after a while.
func (m *member) keep(stop <-chan struct{}) error {
	for {
		process, err := fleet.Start(m.command)
		if err != nil {
			return fmt.Errorf("start replica %d: %w", m.number, err)
		}
		m.set(process)
		select {
		case <-process.Ended():
			m.set(nil)
		case <-stop:
			process.Stop(stopWithin)
		}
		select {
		case <-stop:
			return nil
		case <-time.After(restartAfter):
		}
	}
}

func (m *member) set(p *fleet.Process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process = p
}

// pid returns 0 while the replica is away.
func (m *member) pid() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process == nil {
		return 0
	}
	return m.process.PID()
}

// kill is kill -9, unless the replica is away.
func (m *member) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process != nil {
		_ = m.process.Kill()
	}
}
