package bench

import (
	"net"
	"net/http"
	"strconv"
	"time"
)

// witness is the target of the replicas' webhooks, in the bench's own process.
type witness struct {
	url      string
	arrivals chan arrival // never closed; what nobody takes in time is dropped
	server   http.Server
	served   chan struct{} // closed when server has ended
}

// arrival is an event that a leader of this term has sent.
type arrival struct {
	term int64
	at   time.Time
}

func newWitness() (*witness, error) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &witness{url: "http://" + socket.Addr().String(), arrivals: make(chan arrival, 1000), served: make(chan struct{})}
	w.server = http.Server{Handler: w, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		defer close(w.served)
		_ = w.server.Serve(socket) // ends with close
	}()
	return w, nil
}

func (w *witness) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	at := time.Now()
	term, err := strconv.ParseInt(r.Header.Get("Pgsolo-Term"), 10, 64)
	if err != nil {
		return
	}
	select {
	case w.arrivals <- arrival{term, at}:
	default:
	}
}

func (w *witness) close() {
	w.server.Close()
	<-w.served
}
