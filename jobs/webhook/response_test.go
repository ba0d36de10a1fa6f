package webhook

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
)

func TestStatus(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string // after "send POST http://host"; empty for success
	}{
		"200": {answer: status(200, "", "fine")},
		"204": {answer: status(204, "", "")},
		"299": {answer: status(299, "", "")},
		"304": {answer: status(304, "", ""), want: ": status 304"},
		"400": {answer: status(400, "", "no such tenant\n"), want: ": status 400: no such tenant"},
		"500": {answer: status(500, "", "a\x00b\xff"), want: ": status 500: a\uFFFDb\uFFFD"},
		"long response": {
			answer: status(500, "", strings.Repeat("x", 1<<20)),
			want:   ": status 500: " + strings.Repeat("x", responseQuoted) + "…",
		},
		"redirect": {
			answer: status(302, "https://user:hunter2@elsewhere.example/hook?token=hunter2#part", ""),
			want:   ": status 302 redirects to https://elsewhere.example/hook: set the URL to its final place",
		},
		"relative redirect": {
			answer: status(307, "/v2/hook?token=hunter2", ""),
			want:   ": status 307 redirects to http://HOST/v2/hook: set the URL to its final place",
		},
		"redirect to no URL": {
			answer: status(301, "http://hunter2:%zz@[", ""),
			want:   ": status 301 redirects to a place that is not a URL: set the URL to its final place",
		},
		"redirect without a place": {answer: status(303, "", ""), want: ": status 303"},
	} {
		t.Run(name, func(t *testing.T) {
			requests := 0
			url, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests++
				test.answer(w, r)
			})
			host := strings.TrimPrefix(url, "http://")
			request := Request{
				URL: "http://user:hunter2@" + host + "/hunter2?token=hunter2", Secret: "hunter2", Client: client,
			}
			err := request.Send(t.Context(), jobs.Invocation{})
			if test.want == "" {
				if err != nil {
					t.Errorf("Send = %v, want success", err)
				}
			} else {
				want := "send POST " + url + strings.ReplaceAll(test.want, "HOST", host)
				if err == nil || err.Error() != want {
					t.Errorf("Send = %v\nwant   %s", err, want)
				}
			}
			if requests != 1 {
				t.Errorf("the receiver got %d requests, want 1", requests)
			}
		})
	}
}

func status(code int, location, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

// The receivers here send a status and then keep the connection until the request ends, with or without more of a
// response.
func TestEndlessResponse(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"success, then silence": {answer: func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}},
		"failure, then a flood": {want: "status 500: flood", answer: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte("flood")); err != nil {
					return
				}
			}
		}},
		"another protocol": {want: "status 101", answer: func(w http.ResponseWriter, r *http.Request) {
			connection, buffered, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer connection.Close()
			buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
			buffered.Flush()
			_, _ = buffered.ReadByte()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			url, client := serve(t, test.answer)
			err := Request{URL: url, Client: client}.Send(t.Context(), jobs.Invocation{})
			if test.want == "" && err != nil ||
				test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Send = %v, want %q", err, test.want)
			}
		})
	}
}

func TestTransportErrorHidesURL(t *testing.T) {
	url, client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			connection.Close()
		}
	})
	host := strings.TrimPrefix(url, "http://")
	request := Request{URL: "http://user:hunter2@" + host + "/hunter2?token=hunter2#hunter2", Client: client}
	err := request.Send(t.Context(), jobs.Invocation{})
	if want := "send POST " + url + ": EOF"; err == nil || err.Error() != want {
		t.Errorf("Send = %v, want %s", err, want)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		status int
		header string
		want   time.Duration // 0: the usual backoff
	}{
		"seconds":               {429, "30", 30 * time.Second},
		"date":                  {503, "Fri, 02 Jan 2026 03:05:05 GMT", time.Minute},
		"too long":              {429, "86400", time.Hour},
		"far too long":          {429, "18446744073709551615", time.Hour},
		"date in the future":    {429, "Fri, 02 Jan 2099 03:05:05 GMT", time.Hour},
		"date in the past":      {429, "Fri, 02 Jan 2026 03:04:05 GMT", 0},
		"none":                  {429, "", 0},
		"no time":               {429, "0", 0},
		"negative":              {429, "-1", 0},
		"not a number":          {429, "soon", 0},
		"more than a number":    {429, "99999999999999999999", 0},
		"another status":        {500, "30", 0},
		"another status, moved": {301, "30", 0},
	} {
		t.Run(name, func(t *testing.T) {
			response := &http.Response{StatusCode: test.status, Header: http.Header{"Retry-After": {test.header}}}
			if wait, ok := retryAfter(response, now); ok != (test.want > 0) || ok && wait != test.want {
				t.Errorf("got %s, %t; want %s", wait, ok, test.want)
			}
		})
	}
}

func TestRetryAfterReachesTheRunner(t *testing.T) {
	url, client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	err := Request{URL: url, Client: client}.Send(t.Context(), jobs.Invocation{})
	want := jobs.RetryAfter(30*time.Second, errors.Unwrap(err))
	if !reflect.DeepEqual(err, want) || err.Error() != "send POST "+url+": status 503" {
		t.Errorf("Send = %#v, want %#v", err, want)
	}
}
