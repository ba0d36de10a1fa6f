package web

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// maxConnections is how many connections are served at a time, where the process may have at least four times as many
// files. Programs and sessions of the database need files too.
const maxConnections = 256

// bound keeps the connections of a server few. One more ends the one of which nothing was heard for longest: an answer
// takes milliseconds, so that is one which sends its request slowly or not at all, and a probe that comes now is not
// refused for its sake.
type bound struct {
	most int

	mu    sync.Mutex // guards heard
	heard map[net.Conn]time.Time
}

func newBound(files uint64) *bound {
	return &bound{most: max(8, int(min(maxConnections, files/4))), heard: map[net.Conn]time.Time{}}
}

// changed is for http.Server.ConnState.
func (b *bound) changed(conn net.Conn, state http.ConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(b.heard, conn)
		return
	}
	b.heard[conn] = time.Now()
	if len(b.heard) <= b.most {
		return
	}
	oldest := conn
	for c, at := range b.heard {
		if at.Before(b.heard[oldest]) {
			oldest = c
		}
	}
	delete(b.heard, oldest)
	_ = oldest.Close()
}
