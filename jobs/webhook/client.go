package webhook

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// idleTime is shorter than the time after which common receivers close a connection that they have kept, which for
// Node.js is 5 s. A request that is sent at that moment gets no answer.
const idleTime = 4 * time.Second

// NewClient makes a client to share between Requests. It keeps up to 16 idle connections to a host and 100 in all, each
// for 4 s; it uses the proxy that the environment names. The caller owns it and calls CloseIdleConnections in the end.
func NewClient() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Client{Transport: &http.Transport{
		Proxy:                  proxy,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        idleTime,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // a response is hardly read
	}}
}

// proxy keeps the proxy's URL, which may hold a password, out of the error.
func proxy(request *http.Request) (*url.URL, error) {
	address, err := http.ProxyFromEnvironment(request)
	if err != nil {
		return nil, errors.New("read proxy from environment: HTTP_PROXY or HTTPS_PROXY is not a valid URL")
	}
	return address, nil
}

// client returns a client that does not follow redirects, and where it will find the redirect it was given.
func (r Request) client() (*http.Client, *redirect) {
	var client http.Client
	if r.Client != nil {
		client = *r.Client
	} else {
		client = *NewClient()
		client.Transport.(*http.Transport).DisableKeepAlives = true // the connection could not be used or closed later
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport // as http.Client does
	}
	redirect := &redirect{next: client.Transport}
	client.Transport = redirect
	return &client, redirect
}

// send sends the request. Where a connection that was used before breaks without a byte of an answer, its receiver has
// most likely closed it before the request came: then it is sent once more, on a new connection.
func send(client *http.Client, redirect *redirect, request *http.Request) (*http.Response, error) {
	var reused, answered atomic.Bool // set by goroutines of the connection
	trace := &httptrace.ClientTrace{
		GotConn:              func(got httptrace.GotConnInfo) { reused.Store(got.Reused) },
		GotFirstResponseByte: func() { answered.Store(true) },
	}
	ctx := request.Context()
	response, err := client.Do(request.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err == nil || !reused.Load() || answered.Load() || ctx.Err() != nil {
		return response, err
	}
	again := request.Clone(ctx)
	if again.Body, err = request.GetBody(); err != nil {
		return nil, err
	}
	if transport, ok := redirect.next.(*http.Transport); ok {
		redirect.next = fresh(transport)
	} else {
		client.CloseIdleConnections()
	}
	return client.Do(again)
}

// fresh is a transport like another one, without its connections: those are as old as the one that broke, and other
// attempts give theirs back meanwhile.
func fresh(transport *http.Transport) *http.Transport {
	clone := transport.Clone()
	clone.DisableKeepAlives = true
	if clone.TLSNextProto["h2"] != nil { // set by golang.org/x/net/http2, with the connections of the original
		clone.TLSNextProto, clone.ForceAttemptHTTP2 = nil, true
	}
	return clone
}

// redirect takes the Location out of one response before http.Client sees it. CheckRedirect would come too late: the
// client quotes a Location that it cannot parse, query and all, in its error.
type redirect struct {
	next     http.RoundTripper
	location string
}

func (r *redirect) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err == nil && response.StatusCode/100 == 3 {
		r.location = response.Header.Get("Location")
		response.Header.Del("Location")
	}
	return response, err
}

// CloseIdleConnections is what http.Client looks for.
func (r *redirect) CloseIdleConnections() {
	if next, ok := r.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

// destination is where the redirect points, without what may be secret in it.
func (r *redirect) destination(base *url.URL) string {
	target, err := base.Parse(r.location)
	if err != nil {
		return "a place that is not a URL"
	}
	return origin(target) + target.EscapedPath()
}
