package privatepg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// stallBound is how long a download may go without a byte.
const stallBound = 30 * time.Second

// forwarder is a local server between embedded-postgres and the repository. It adds what the library lacks: a context,
// a progress bar, a limit on stalled transfers, errors that name the cause, and a checksum that must be there.
type forwarder struct {
	ctx        context.Context // of the download; the library's requests have none
	repository string
	client     *http.Client
	bar        *progressBar
	listener   net.Listener
	server     *http.Server
	serving    sync.WaitGroup

	mu  sync.Mutex // guards err
	err error      // the first failure
}

// startForwarder listens on a free loopback port. The caller calls stop.
func startForwarder(ctx context.Context, repository string, bar *progressBar) (*forwarder, error) {
	parsed, err := url.Parse(repository)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return nil, errors.New("read PGSOLO_PG_REPOSITORY: it is not an http or https URL")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on the loopback interface: %w", err)
	}
	f := &forwarder{
		ctx: ctx, repository: repository, bar: bar, listener: listener,
		client: &http.Client{Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: stallBound,
			ForceAttemptHTTP2:     true,
		}},
	}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: stallBound}
	f.serving.Go(func() { _ = f.server.Serve(listener) }) // returns ErrServerClosed after stop
	return f, nil
}

func (f *forwarder) url() string { return "http://" + f.listener.Addr().String() }

// stop ends all transfers and joins the server.
func (f *forwarder) stop() {
	f.server.Close()
	f.serving.Wait()
	f.client.CloseIdleConnections()
}

// failure returns what went wrong between here and the repository.
func (f *forwarder) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// ServeHTTP breaks the connection off on any failure, so that the library cannot take it for an answer: it would go on
// without a checksum that is not there.
func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := f.forward(w, r.URL.Path); err != nil {
		f.mu.Lock()
		if f.err == nil {
			f.err = err
		}
		f.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
}

func (f *forwarder) forward(w http.ResponseWriter, path string) error {
	ctx, cancel := context.WithCancelCause(f.ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stallBound, func() { cancel(fmt.Errorf("no data for %s", stallBound)) })
	defer stalled.Stop()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.repository+path, nil)
	if err != nil {
		return fmt.Errorf("ask repository: %w", err)
	}
	request.Header.Set("Accept-Encoding", "identity") // the length that comes first is that of the file
	response, err := f.client.Do(request)
	if err != nil {
		return causeOr(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: the repository answers %s", request.URL.Redacted(), response.Status)
	}
	w.Header().Set("Connection", "close") // leaves no idle connection in the library's client
	body := io.Reader(&activityReader{from: response.Body, active: func() { stalled.Reset(stallBound) }})
	if response.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(response.ContentLength, 10))
	}
	if strings.HasSuffix(path, ".jar") {
		f.bar.begin(response.ContentLength)
		defer f.bar.end()
		body = io.TeeReader(body, f.bar)
	}
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("get %s: %w", request.URL.Redacted(), causeOr(ctx, err))
	}
	return nil
}

// causeOr prefers the reason for which a context ended to the error that it led to.
func causeOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// activityReader reports each read that brought data.
type activityReader struct {
	from   io.Reader
	active func()
}

func (r *activityReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if n > 0 {
		r.active()
	}
	return n, err
}
