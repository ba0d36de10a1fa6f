package command

import "testing"

// What is tried out on a machine is nobody's business beside it.
func TestDevIsOnLoopback(t *testing.T) {
	for address, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:0": "127.0.0.1:0", "[::]:8080": "[::1]:8080", "10.0.0.7:80": "127.0.0.1:80",
		"example.com:80": "127.0.0.1:80", "127.0.0.2:80": "127.0.0.2:80", "[::1]:80": "[::1]:80",
		"localhost:80": "localhost:80", "[fe80::1%eth0]:80": "[::1]:80",
	} {
		if got := onLoopback(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
