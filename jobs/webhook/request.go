package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
)

// Request is an HTTP request to send for an event or a tick. It holds no state: one Request may be sent many times at
// once.
type Request struct {
	URL     string            // http or https; required. A user and password in it become basic authentication.
	Method  string            // default POST
	Headers map[string]string // replace headers of the same name; see the package's documentation
	Secret  string            // signs the request; white space around it is dropped; default: no signature

	// Client keeps connections between requests: pass one of NewClient, or another, to all Requests, and close its idle
	// connections in the end. Redirects are not followed whatever its CheckRedirect says. The request that is sent once
	// more has a new connection where Transport is an *http.Transport; of another one, idle connections are closed
	// before, and it may get one that another request has given back meanwhile. Default: a new connection for each
	// request.
	Client *http.Client
}

// Send sends the request and reads the response. It is a jobs.Action. The error wraps the cause of ctx if that ended
// first.
func (r Request) Send(ctx context.Context, invocation jobs.Invocation) error {
	if err := r.Validate(); err != nil {
		return err
	}
	target, err := r.parseURL()
	if err != nil {
		return err
	}
	place := r.method() + " " + origin(target)

	// The response may go on for ever: cancel ends the request when enough of it was read.
	sending, cancel := context.WithCancel(ctx)
	defer cancel()
	request, err := r.request(sending, target, invocation)
	if err != nil {
		return fmt.Errorf("make request %s: %w", place, err)
	}

	client, redirect := r.client()
	response, err := send(client, redirect, request)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if opening, ok := errors.AsType[*net.OpError](err); ok && opening.Op == "dial" {
			return fmt.Errorf("send %s: %w", place, jobs.Starved(withoutURL(err)))
		}
		return fmt.Errorf("send %s: %w", place, withoutURL(err))
	}
	defer response.Body.Close()
	defer time.AfterFunc(responseTime, cancel).Stop()

	invocation.Report.SetHTTPStatus(response.StatusCode)
	var start string
	if response.StatusCode >= 200 { // after 101 the body is the bare connection, which the context would not end
		start = readResponse(response.Body, invocation.Report)
	}
	switch {
	case response.StatusCode/100 == 2:
		return nil
	case redirect.location != "":
		return fmt.Errorf("send %s: status %d redirects to %s: set the URL to its final place",
			place, response.StatusCode, redirect.destination(target))
	}
	err = fmt.Errorf("send %s: status %d%s", place, response.StatusCode, start)
	if wait, ok := retryAfter(response, time.Now()); ok {
		return jobs.RetryAfter(wait, err)
	}
	return err
}

// request builds the request with all of its headers.
func (r Request) request(ctx context.Context, target *url.URL, invocation jobs.Invocation) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, r.method(), origin(target), bytes.NewReader(invocation.Body))
	if err != nil {
		return nil, err
	}
	request.URL = target
	describe(request.Header, invocation)
	if r.Secret != "" {
		key, err := signingKey(r.Secret)
		if err != nil {
			return nil, err
		}
		sign(request.Header, key, messageID(invocation), time.Now(), invocation.Body)
	}
	for name, value := range r.Headers {
		request.Header.Set(name, value)
	}
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host // net/http ignores the header
	}
	return request, nil
}

func (r Request) method() string {
	if r.Method == "" {
		return http.MethodPost
	}
	return r.Method
}

func (r Request) parseURL() (*url.URL, error) {
	if r.URL == "" {
		return nil, wrong("URL", "is empty")
	}
	target, err := url.Parse(r.URL)
	if err != nil {
		// The parser's message may quote a part of a password.
		return nil, wrong("URL",
			"cannot be parsed: percent-encode special characters in its user, password, path and query")
	}
	if target.Scheme != "http" && target.Scheme != "https" {
		return nil, wrong("URL", "has the scheme %q: it must begin with http:// or https://", target.Scheme)
	}
	if target.Hostname() == "" {
		return nil, wrong("URL", "has no host")
	}
	return target, nil
}

// origin is what errors may tell of a URL.
func origin(u *url.URL) string {
	return u.Scheme + "://" + u.Host
}

// withoutURL takes the error out of the one of net/http that quotes the URL.
func withoutURL(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}
