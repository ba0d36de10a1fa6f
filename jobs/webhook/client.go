package webhook

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// NewClient makes a client to share between Requests. It keeps up to 16 idle connections to a host and 100 in all, each
// for a minute; it uses the proxy that the environment names. The caller owns it and calls CloseIdleConnections in the
// end.
func NewClient() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Client{Transport: &http.Transport{
		Proxy:                  proxy,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        time.Minute,
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

// destination is where the redirect points, without what may be secret in it.
func (r *redirect) destination(base *url.URL) string {
	target, err := base.Parse(r.location)
	if err != nil {
		return "a place that is not a URL"
	}
	return origin(target) + target.EscapedPath()
}
