package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxHeader is how many bytes the header of a request may have. Browsers and proxies send less than a tenth of that.
const maxHeader = 16 << 10

// guard answers for any path what is none of its business: requests with a body, which nothing here reads, and those
// that ask for another host. A page of anybody's may have its own name lead to this address: then a browser behind
// the firewall asks for what is here under that name, and shows the answer to the page. What asks for an address has
// not been misled by a name.
func guard(hosts []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch {
		case len(hosts) > 0 && !isHost(hosts, r.Host):
			http.Error(w, "this server has another name: list it in http.hosts", http.StatusMisdirectedRequest)
		case r.ContentLength != 0:
			w.Header().Set("Connection", "close") // so that the rest is not read
			http.Error(w, "no request here has a body", http.StatusRequestEntityTooLarge)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isHost says whether a request for host, which may have a port, is one for an address or a name of hosts.
func isHost(hosts []string, host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return slices.ContainsFunc(hosts, func(name string) bool { return strings.EqualFold(name, host) })
}
