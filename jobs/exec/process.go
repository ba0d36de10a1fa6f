//go:build unix

package exec

import (
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"sync"
	"time"
)

// outputTime is how long the output is read after the group was killed. Only a process that left the group can hold the
// output open that long.
const outputTime = time.Second

// process is a started program with the goroutines that feed it, read its output and wait for it. It does without the
// pipes of os/exec, whose Wait returns only when the output is closed: here the group must be killed between the two.
type process struct {
	exited  chan struct{} // closed by the waiting goroutine, after exit is set
	exit    error
	drained chan struct{} // closed by the reading goroutine when no process holds the output any more

	read *os.File
	work sync.WaitGroup
}

// start starts cmd. If it returns no error, the caller must call join.
func start(cmd *osexec.Cmd, body []byte, output io.Writer) (*process, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe for output: %w", err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	write.Close() // the child has its own; with ours open the output would never end
	if err != nil {
		read.Close()
		return nil, err
	}

	p := &process{exited: make(chan struct{}), drained: make(chan struct{}), read: read}
	p.work.Go(func() {
		// An error says only that the program did not read all of its input, which is its own affair. Wait closes
		// stdin once the program has exited, so a write that blocks ends then.
		_, _ = stdin.Write(body)
		_ = stdin.Close()
	})
	p.work.Go(func() {
		defer close(p.drained)
		_, _ = io.Copy(output, read) // ends at the end of the output or at the deadline that join sets
	})
	p.work.Go(func() {
		defer close(p.exited)
		p.exit = cmd.Wait()
	})
	return p, nil
}

// wait waits until the program has exited and no process holds its output, but not longer than the time given, nor when
// the leadership is over.
func (p *process) wait(limit time.Duration, over <-chan struct{}) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		return
	case <-over:
		return
	}
	select {
	case <-p.drained:
	case <-timer.C:
	case <-over:
	}
}

// join waits for all goroutines and returns what the program's exit means. The group must have been killed.
func (p *process) join() error {
	<-p.exited
	_ = p.read.SetReadDeadline(time.Now().Add(outputTime))
	p.work.Wait()
	p.read.Close()
	return p.exit
}
