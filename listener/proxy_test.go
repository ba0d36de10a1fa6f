package listener

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between the listener and the server and may drop, change or add messages of the protocol.
type proxy struct {
	connections atomic.Int64
	change      atomic.Pointer[func(*link, packet) []packet]
}

// packet is one message of the protocol. fromServer tells its direction, in which kinds have a meaning each.
type packet struct {
	fromServer bool
	kind       byte
	body       []byte
}

// link is one connection through the proxy.
type link struct {
	number   int64 // from 1
	toClient io.Writer
	mu       sync.Mutex // guards toClient: a test adds messages beside the relay
}

// newProxy puts a proxy in front of the server. All passes until alter is called.
func newProxy(b *bench) *proxy {
	p := new(proxy)
	dial := b.options.Config.DialFunc
	b.options.Config.TLSConfig, b.options.Config.Fallbacks = nil, nil
	b.options.Config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		server, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		near, far := net.Pipe()
		l := &link{number: p.connections.Add(1), toClient: far}
		var relays sync.WaitGroup
		for _, fromServer := range []bool{false, true} {
			relays.Go(func() {
				defer server.Close()
				defer far.Close()
				p.relay(l, fromServer, server, far)
			})
		}
		b.t.Cleanup(func() {
			_, _ = far.Close(), server.Close()
			relays.Wait()
		})
		return near, nil
	}
	return p
}

// alter lets change decide from now on, which returns what to pass on in place of a message. Both directions of all
// connections call it.
func (p *proxy) alter(change func(*link, packet) []packet) { p.change.Store(&change) }

func (p *proxy) relay(l *link, fromServer bool, server io.ReadWriter, client io.Reader) {
	from, head := client, 4 // the first message of a client has no kind
	if fromServer {
		from, head = server, 5
	}
	for {
		m := packet{fromServer: fromServer}
		header := make([]byte, head)
		if _, err := io.ReadFull(from, header); err != nil {
			return
		}
		if head == 5 {
			m.kind = header[0]
		}
		m.body = make([]byte, binary.BigEndian.Uint32(header[head-4:])-4)
		if _, err := io.ReadFull(from, m.body); err != nil {
			return
		}
		pass := []packet{m}
		if change := p.change.Load(); change != nil && head == 5 {
			pass = (*change)(l, m)
		}
		head = 5
		for _, m := range pass {
			var err error
			if fromServer {
				err = l.send(m)
			} else {
				_, err = server.Write(m.encode())
			}
			if err != nil {
				return
			}
		}
	}
}

// send passes a message to the client.
func (l *link) send(m packet) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.toClient.Write(m.encode())
	return err
}

func (m packet) encode() []byte {
	var out []byte
	if m.kind != 0 {
		out = append(out, m.kind)
	}
	return append(binary.BigEndian.AppendUint32(out, uint32(len(m.body)+4)), m.body...)
}

// query is the text of a statement, or "" for any other message.
func (m packet) query() string {
	if m.fromServer || m.kind != 'Q' {
		return ""
	}
	return string(bytes.TrimSuffix(m.body, []byte{0}))
}

func queryPacket(sql string) packet { return packet{kind: 'Q', body: append([]byte(sql), 0)} }

// probes says that the statement is a probe of the session.
func (m packet) probes() bool { return strings.HasPrefix(m.query(), `select pg_notify('pgsolo probe`) }

// echoes says that it is the notification of a probe.
func (m packet) echoes() bool { return strings.HasPrefix(m.channel(), "pgsolo probe") }

// channel is that of a notification, or "" for any other message.
func (m packet) channel() string {
	if !m.fromServer || m.kind != 'A' {
		return ""
	}
	name, _, _ := strings.Cut(string(m.body[4:]), "\x00")
	return name
}

func notificationPacket(channel, payload string) packet {
	return packet{fromServer: true, kind: 'A', body: []byte("\x00\x00\x00\x01" + channel + "\x00" + payload + "\x00")}
}

// pass hands a message on as it is.
func pass(m packet) []packet { return []packet{m} }

func TestProxyChangesNothingByItself(t *testing.T) {
	b := setup(t)
	p := newProxy(b)
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	b.notify("c", "x")
	if got := receive(t, s); got != "x" || p.connections.Load() != 1 {
		t.Errorf("received %q over %d connections", got, p.connections.Load())
	}
}
