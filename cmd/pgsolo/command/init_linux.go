package command

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// superviseAsInit is for process 1, which gets the orphans of all others and has to reap them, or they stay as zombies.
// It runs the program once more, as its child, passes signals on to it, and returns its exit code. is is false where
// this process is another one, or cannot do so: then it is the program itself.
//
// It cannot be the program at the same time: waiting for any child takes the exits of those that os/exec waits for.
func superviseAsInit() (code int, is bool) {
	if os.Getpid() != 1 {
		return 0, false
	}
	const self = "/proc/self/exe"
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, passedOn...)
	defer signal.Stop(signals)
	pid, err := syscall.ForkExec(self, os.Args, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: inForeground(),
	})
	if err != nil {
		return 0, false
	}
	go func() {
		for s := range signals {
			_ = syscall.Kill(pid, s.(syscall.Signal))
		}
	}()
	for {
		var status syscall.WaitStatus
		switch ended, err := syscall.Wait4(-1, &status, 0, nil); {
		case err == syscall.EINTR, err == nil && ended != pid:
		case err != nil: // it has no child any more, which cannot be
			return ExitError, true
		case status.Signaled():
			return 128 + int(status.Signal()), true
		default:
			return status.ExitStatus(), true
		}
	}
}

// passedOn are the signals that the program acts on.
var passedOn = []os.Signal{
	syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
}

// inForeground gives the program a group of its own: what is typed at a terminal goes to that alone, and once.
func inForeground() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); err == nil {
		attr.Foreground, attr.Ctty = true, 0
	}
	return attr
}
