package listener

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5/pgproto3"
)

// The messages of the server that matter here, by their type.
const (
	typeNotification   = 'A'
	typeDataRow        = 'D'
	typeErrorResponse  = 'E'
	typeNoticeResponse = 'N'
	typeReadyForQuery  = 'Z'
)

// headerSize is that of a message: its type, and the length of the rest with that of the length itself.
const headerSize = 5

// maxMessage is far above what a session that only LISTENs is sent: a longer message is no message.
const maxMessage = 1 << 20

var errMessage = errors.New("the server's message makes no sense")

// message receives one message. The body is good until the next call where it fits into the buffer. pgproto3 would copy
// the two texts of a notification twice each, and allocate five times.
func (s *session) message() (kind byte, body []byte, err error) {
	header, err := s.in.Peek(headerSize)
	if err != nil {
		return 0, nil, fmt.Errorf("receive: %w", err)
	}
	kind, length := header[0], int(binary.BigEndian.Uint32(header[1:]))-4
	if length < 0 || length > maxMessage {
		return 0, nil, fmt.Errorf("receive: %w: it has %d bytes", errMessage, length)
	}
	if _, err = s.in.Discard(len(header)); err != nil {
		return 0, nil, fmt.Errorf("receive: %w", err)
	}
	if length > s.in.Size() {
		body = make([]byte, length)
		_, err = io.ReadFull(s.in, body)
	} else if body, err = s.in.Peek(length); err == nil {
		_, err = s.in.Discard(length) // leaves the bytes in place until more is read
	}
	if err != nil {
		return 0, nil, fmt.Errorf("receive: %w", err)
	}
	return kind, body, nil
}

// nextIs says whether the next message is of the kind and there in full, so that to receive it costs no wait and leaves
// the bodies of those before it in place.
func (s *session) nextIs(kind byte) bool {
	if s.in.Buffered() < headerSize {
		return false
	}
	header, _ := s.in.Peek(headerSize)
	return header[0] == kind && uint64(s.in.Buffered()) > uint64(binary.BigEndian.Uint32(header[1:]))
}

// notification is one NOTIFY as it came. Its channel is good until the session receives more than what is there.
type notification struct {
	channel []byte
	payload string
}

// decodeNotification takes a notification apart: four bytes of process id, and two texts that end with a zero byte.
func decodeNotification(body []byte) (channel, payload []byte, err error) {
	const pid = 4
	if len(body) < pid {
		return nil, nil, errMessage
	}
	channel, rest, found := bytes.Cut(body[pid:], []byte{0})
	payload, _, closed := bytes.Cut(rest, []byte{0})
	if !found || !closed {
		return nil, nil, errMessage
	}
	return channel, payload, nil
}

func (s *session) send(message pgproto3.FrontendMessage) error {
	encoded, err := message.Encode(nil)
	if err == nil {
		_, err = s.conn.Write(encoded)
	}
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}
