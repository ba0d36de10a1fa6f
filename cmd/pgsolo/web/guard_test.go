package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// A page whose name leads to this address gets nothing. Probes by address, and the server's own names, go on.
func TestHosts(t *testing.T) {
	s, _ := setup(t)
	s.server.Handler = guard([]string{"pgsolo.example.com", "localhost"}, s.server.Handler)
	for host, want := range map[string]int{
		"pgsolo.example.com": 200, "PGSOLO.example.com:8080": 200, "pgsolo.example.com.": 200, "localhost:8080": 200,
		"10.0.0.7:8080": 200, "10.0.0.7": 200, "[fd00::1]:8080": 200, "[fd00::1]": 200, "[fe80::1%25eth0]:80": 200,
		"evil.example.com": 421, "evil.example.com:8080": 421, "127.0.0.1.evil.example.com": 421,
		"pgsolo.example.com.evil.org": 421, "": 421, "1.2.3": 421,
	} {
		for _, path := range []string{"/v1/status", "/metrics", "/readyz", "/absent"} {
			request := httptest.NewRequest(http.MethodGet, path, nil)
			request.Host = host
			recorder := httptest.NewRecorder()
			s.server.Handler.ServeHTTP(recorder, request)
			if got := recorder.Code; (got == http.StatusMisdirectedRequest) != (want == http.StatusMisdirectedRequest) {
				t.Errorf("%s of %q: %d, want %d", path, host, got, want)
			}
		}
	}
}

// What is not a question ends without a word of it being read.
func TestRequestsThatAreNone(t *testing.T) {
	s, status := setup(t)
	*status = election.Status{Election: "main", Role: election.Leader, SeenAt: time.Now()}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(socket) }()
	t.Cleanup(func() {
		s.Shutdown()
		if err := pgtest.Within(t, "the end of the server", served); err != nil {
			t.Error(err)
		}
	})
	const end = " HTTP/1.1\r\nHost: localhost\r\n"
	for request, want := range map[string]int{
		"GET /readyz" + end + "\r\n":                                                200,
		"HEAD /readyz" + end + "\r\n":                                               200,
		"POST /readyz" + end + "Content-Length: 1000000000000\r\n\r\nx":             413,
		"GET /readyz" + end + "Transfer-Encoding: chunked\r\n\r\n":                  413,
		"POST /readyz" + end + "\r\n":                                               405,
		"DELETE /v1/status" + end + "\r\n":                                          405,
		"OPTIONS /v1/status" + end + "Origin: https://evil.example.com\r\n\r\n":     405,
		"GET /readyz" + end + "A: " + strings.Repeat("a", 2*maxHeader) + "\r\n\r\n": 431,
		"GET //readyz/../../etc/passwd" + end + "\r\n":                              307,
		"GET /absent" + end + "\r\n":                                                404,
		"nonsense\r\n\r\n":                                                          400,
	} {
		conn, err := net.Dial("tcp", socket.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		go func() { _, _ = io.WriteString(conn, request) }()
		method, _, _ := strings.Cut(request, " ")
		response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
		if err != nil {
			t.Errorf("%.40q: %v", request, err)
		} else {
			response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%.40q: %d, want %d", request, response.StatusCode, want)
			}
			if want == 200 && (response.Header.Get("X-Content-Type-Options") != "nosniff" ||
				response.Header.Get("Cache-Control") != "no-store" ||
				response.Header.Get("Access-Control-Allow-Origin") != "") {
				t.Errorf("%.40q: %v", request, response.Header)
			}
		}
		conn.Close()
	}
}

// No request makes the handler panic, or answer a page under another name.
func FuzzRequests(f *testing.F) {
	for _, line := range []string{
		"GET /leader?election=%zz", "GET /leader?election=main;a=b", "HEAD /metrics", "GET /..%2f", "POST /v1/status",
		"CONNECT example.com:80", "GET http://evil.example.com/v1/status", "OPTIONS *",
	} {
		f.Add(line, "pgsolo.example.com", "Accept-Encoding: gzip")
		f.Add(line, "[::1%25", "Range: bytes=0-")
	}
	f.Fuzz(func(t *testing.T, line, host, header string) {
		raw := fmt.Sprintf("%s HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", line, host, header)
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			t.Skip()
		}
		status := &election.Status{Election: "main", Role: election.Leader, SeenAt: time.Now()}
		s := New(Options{
			Elections: []Election{electionOf(status)}, Listener: noListener, Hosts: []string{"pgsolo.example.com"},
			Logger: hclog.NewNullLogger(),
		})
		recorder := httptest.NewRecorder()
		s.server.Handler.ServeHTTP(recorder, request)
		if recorder.Code == http.StatusOK && strings.Contains(strings.ToLower(request.Host), "evil") {
			t.Errorf("%q is answered", request.Host)
		}
	})
}
