package listener

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Messages come out as they went in, however the network cuts them, below and above the size of the buffer.
func TestMessagesWhole(t *testing.T) {
	var stream []byte
	bodies := []string{"", "x", strings.Repeat("y", readBuffer-5), strings.Repeat("z", readBuffer),
		strings.Repeat("w", readBuffer+1),
		strings.Repeat("v", maxMessage), "last"}
	for _, body := range bodies {
		stream = append(stream, packet{fromServer: true, kind: 'A', body: []byte(body)}.encode()...)
	}
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"whole":       func(r io.Reader) io.Reader { return r },
		"in halves":   iotest.HalfReader,
		"end at once": iotest.DataErrReader,
	} {
		s := &session{in: bufio.NewReaderSize(cut(bytes.NewReader(stream)), readBuffer)}
		for _, want := range bodies {
			kind, body, err := s.message()
			if err != nil || kind != 'A' || string(body) != want {
				t.Fatalf("%s: %d bytes became %c with %d, %v", name, len(want), kind, len(body), err)
			}
		}
		if _, _, err := s.message(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the end is %v", name, err)
		}
	}
}

// FuzzMessage receives whatever may come: no panic, no memory for a length that is a lie, and what is a notification
// for pgproto3 is the same here.
func FuzzMessage(f *testing.F) {
	for _, seed := range [][]byte{
		nil, {'A'}, {'A', 0, 0, 0, 0}, {'A', 0, 0, 0, 4}, {'A', 0xff, 0xff, 0xff, 0xff},
		{'A', 0x7f, 0xff, 0xff, 0xff, 1}, {'A', 0, 0x10, 0, 4},
		notificationPacket("c", "x").encode(), notificationPacket("", "").encode(),
		notificationPacket("c", strings.Repeat("x", 7999)).encode(),
		append(notificationPacket("c", "x").encode(), 'Z', 0, 0, 0, 5, 'I'), {'A', 0, 0, 0, 9, 0, 0, 0, 1, 'c'},
		{'A', 0, 0, 0, 10, 0, 0, 0, 1, 'c', 0},
		{'A', 0, 0, 0, 12, 0, 0, 0, 1, 'c', 0, 'x', 'y'},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		s := &session{in: bufio.NewReaderSize(iotest.HalfReader(bytes.NewReader(stream)), 16)}
		for rest := stream; ; {
			kind, body, err := s.message()
			if err != nil {
				if len(rest) >= 5 && errors.Is(err, io.EOF) && int(binary.BigEndian.Uint32(rest[1:]))-4 <= len(rest)-5 {
					t.Fatalf("a whole message is taken for the end: %q: %v", rest, err)
				}
				return
			}
			if want := rest[5 : 5+len(body)]; kind != rest[0] || !bytes.Equal(body, want) {
				t.Fatalf("received %c %q, want %q", kind, body, rest[:5+len(body)])
			}
			rest = rest[5+len(body):]
			if kind != typeNotification {
				continue
			}
			body = slices.Clone(body)
			channel, payload, err := decodeNotification(body)
			var theirs pgproto3.NotificationResponse
			if refused := theirs.Decode(body); (err == nil) != (refused == nil) {
				t.Fatalf("%q: we say %v, pgproto3 says %v", body, err, refused)
			}
			if err == nil && (string(channel) != theirs.Channel || string(payload) != theirs.Payload) {
				t.Fatalf("%q became %q and %q, want %+v", body, channel, payload, theirs)
			}
		}
	})
}
