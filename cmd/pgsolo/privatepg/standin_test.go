package privatepg

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// standIn is a download server with one release, whose programs hand over to those of this machine.
type standIn struct {
	*httptest.Server
	jar  []byte
	jars atomic.Int64 // how often the jar was asked for

	// A test changes these before the download.
	checksum string // empty: there is none
	cut      int    // how many bytes are missing at the end of the jar
}

func newStandIn(t *testing.T, real programs) *standIn {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"postgres", "initdb", "pg_ctl"} {
		files["bin/"+name] = "#!/bin/sh\nexec " + real.folder + "/" + name + " \"$@\"\n"
	}
	// More than one chunk of xz, and enough for a progress bar to move.
	files["share/filler"] = strings.Repeat("filler ", 300_000)
	s := &standIn{jar: zipped(t, "postgres.txz", xzStored(tarred(t, files)))}
	s.replace(s.jar)
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// replace serves another jar, with its checksum.
func (s *standIn) replace(jar []byte) {
	sum := sha256.Sum256(jar)
	s.jar, s.checksum = jar, hex.EncodeToString(sum[:])
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, ".jar"):
		s.jars.Add(1)
		w.Header().Set("Content-Length", strconv.Itoa(len(s.jar)))
		w.Write(s.jar[:len(s.jar)-s.cut])
	case strings.HasSuffix(r.URL.Path, ".jar.sha256") && s.checksum != "":
		w.Write([]byte(s.checksum))
	default:
		http.NotFound(w, r)
	}
}

func tarred(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, body := range files {
		header := &tar.Header{Name: name, Mode: 0o755, Size: int64(len(body)), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func zipped(t *testing.T, name string, body []byte) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	file, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// xzStored wraps data in the xz format without compressing it: one block of LZMA2 chunks that are stored as they are.
func xzStored(data []byte) []byte {
	crc := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
	pad := func(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }
	flags := []byte{0, 1} // a CRC32 follows each block

	var chunks []byte
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 1<<16)
		control := byte(2)
		if len(chunks) == 0 {
			control = 1 // the first one resets the dictionary
		}
		chunks = append(chunks, control, byte((n-1)>>8), byte(n-1))
		chunks = append(chunks, rest[:n]...)
		rest = rest[n:]
	}
	chunks = append(chunks, 0)

	header := []byte{2, 0, 0x21, 1, 22, 0, 0, 0} // 12 bytes with its CRC; the filter LZMA2 with a dictionary of 8 MB
	header = append(header, crc(header)...)
	unpadded := len(header) + len(chunks) + 4

	index := binary.AppendUvarint([]byte{0, 1}, uint64(unpadded))
	index = pad(binary.AppendUvarint(index, uint64(len(data))))
	index = append(index, crc(index)...)

	footer := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1))
	footer = append(footer, flags...)

	xz := append([]byte{0xfd, '7', 'z', 'X', 'Z', 0}, flags...)
	xz = append(xz, crc(flags)...)
	xz = append(xz, header...)
	xz = pad(append(xz, chunks...))
	xz = append(xz, crc(data)...)
	xz = append(xz, index...)
	xz = append(xz, crc(footer)...)
	xz = append(xz, footer...)
	return append(xz, 'Y', 'Z')
}
