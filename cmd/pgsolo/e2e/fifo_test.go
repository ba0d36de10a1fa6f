package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// fifo is a pipe from which nothing is read. It is a named one, because its ends are to block or not each for itself:
// those of os.Pipe that the test fills and that the process has for its standard error would be one.
type fifo struct {
	t     *testing.T
	path  string
	read  int // a file descriptor; -1: closed
	write *os.File
}

func newFifo(t *testing.T) *fifo {
	t.Helper()
	f := &fifo{t: t, path: filepath.Join(t.TempDir(), "fifo"), read: -1}
	if err := syscall.Mkfifo(f.path, 0o600); err != nil {
		t.Fatal(err)
	}
	f.read = f.open(syscall.O_RDONLY | syscall.O_NONBLOCK)
	t.Cleanup(f.closeRead)
	f.write = os.NewFile(uintptr(f.open(syscall.O_WRONLY)), f.path)
	t.Cleanup(func() { f.write.Close() })
	return f
}

func (f *fifo) open(flags int) (descriptor int) {
	f.t.Helper()
	descriptor, err := syscall.Open(f.path, flags|syscall.O_CLOEXEC, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	return descriptor
}

// fill makes the next write block.
func (f *fifo) fill() {
	f.t.Helper()
	descriptor := f.open(syscall.O_WRONLY | syscall.O_NONBLOCK)
	defer syscall.Close(descriptor)
	for _, chunk := range [][]byte{make([]byte, 4096), {0}} {
		for {
			_, err := syscall.Write(descriptor, chunk)
			if errors.Is(err, syscall.EAGAIN) {
				break
			}
			if err != nil && !errors.Is(err, syscall.EINTR) {
				f.t.Fatal(err)
			}
		}
	}
}

// closeRead leaves the pipe without a reader.
func (f *fifo) closeRead() {
	if f.read >= 0 {
		syscall.Close(f.read)
		f.read = -1
	}
}
