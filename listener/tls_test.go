package listener

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// An encrypted session delivers, changes its channels while it is read, is replaced, and ends as any other.
func TestEncryptedSession(t *testing.T) {
	t.Parallel()
	owner := account{os.Geteuid(), os.Getegid()}
	if probe := pgtest.Database(t); owner.uid == 0 {
		config, err := pgx.ParseConfig(probe)
		if err != nil {
			t.Fatal(err)
		}
		owner, _ = unprivileged(t, config.Host)
	}
	folder := folderOf(t, owner)
	roots := certificate(t, owner, folder)
	server := pgtest.Server(t, privatepg.Options{TCP: true, Settings: map[string]string{
		"ssl": "on", "ssl_cert_file": filepath.Join(folder, "cert"), "ssl_key_file": filepath.Join(folder, "key"),
	}})
	b := setupOn(t, server.URL("postgres"))
	b.options.Config.TLSConfig = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
	b.options.Config.Fallbacks = nil
	b.options.ProbeInterval, b.options.Buffer = calm, 1000
	l := b.listener()
	ended, stop := b.run(l)
	s := b.established(l, "c")
	if !pgtest.Value[bool](t, b.conn,
		`select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'the listener'`) {
		t.Error("the session is not encrypted")
	}
	for range 50 {
		other := b.established(l, "d")
		b.notify("c", "x")
		b.notify("d", "y")
		if x, y := receive(t, s), receive(t, other); x != "x" || y != "y" {
			t.Errorf("received %q and %q", x, y)
		}
		other.Close()
	}
	b.exec(`select pg_notify('c', repeat('z', 7000) || n) from generate_series(1, 200) n`) // several records
	for range 200 {
		receive(t, s)
	}
	b.terminate()
	pgtest.Within(t, "missed", s.Missed())
	b.awaitProbes(l, 1)
	stopped := time.Now()
	stop()
	if err := pgtest.Within(t, "the end", ended); err != nil {
		t.Errorf("Run returned %v", err)
	}
	if took := time.Since(stopped); took > tardy {
		t.Errorf("the end took %s", took)
	}
	pgtest.Eventually(t, "no session left", func() bool { return b.backends() == 0 })
	if stats := l.Stats(); stats.Reconnects != 1 {
		t.Errorf("stats are %+v", stats)
	}
}

// certificate writes a certificate for 127.0.0.1 and its key, and returns who trusts it.
func certificate(t *testing.T, owner account, folder string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, owner, filepath.Join(folder, "cert"),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}))
	writeFile(t, owner, filepath.Join(folder, "key"),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	parsed, err := x509.ParseCertificate(signed)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return roots
}
