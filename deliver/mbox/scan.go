package mbox

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"slices"
	"strings"
)

// found is one message of an mbox: its From line, and a digest of the rest without what
// mail readers write into it, see statusFields.
type found struct {
	from   string
	digest []byte
}

// statusFields are the fields, in lower case, that mail readers add and change when they
// rewrite an mbox.
func statusFields() []string {
	return []string{"status", "x-status", "x-keywords", "x-uid", "x-imap", "x-imapbase", "content-length", "lines", "x-mozilla-status", "x-mozilla-status2"}
}

var errNoMessage = errors.New("not one message of an mbox")

// digestMessage returns the digest of the one message that r holds.
func digestMessage(r io.Reader) ([]byte, error) {
	var digest []byte
	n := 0
	err := scan(r, func(f found) { digest, n = f.digest, n+1 })
	if err == nil && n != 1 {
		err = errNoMessage
	}
	return digest, err
}

// scan reads an mbox and calls visit for each message. Its memory does not grow with a line
// or a message.
func scan(r io.Reader, visit func(found)) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var m *message
	middle := false // of a line that is longer than the buffer
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return err
		}
		if !middle && bytes.HasPrefix(line, []byte(separator)) {
			m.end(visit)
			m = &message{from: string(line), sum: sha256.New(), header: true}
		} else if m != nil {
			m.add(line, middle)
		}
		middle = err == bufio.ErrBufferFull
		if err == io.EOF {
			m.end(visit)
			return nil
		}
	}
}

// message is a message that is being read.
type message struct {
	from   string
	sum    hash.Hash
	header bool // still in the header block
	status bool // in a field of statusFields
	empty  int  // line ends that count only if something follows
}

// add takes the next line, or, with middle, a further part of it.
func (m *message) add(line []byte, middle bool) {
	if m.header {
		if !middle && len(line) > 0 && line[0] != ' ' && line[0] != '\t' {
			name, _, _ := strings.Cut(string(line[:min(len(line), 64)]), ":")
			m.status = slices.Contains(statusFields(), strings.ToLower(name))
		}
		if !middle && string(line) == "\n" {
			m.header, m.status = false, false
			m.sum.Write([]byte{0}) // the end of the header block
			return
		}
		if m.status {
			return
		}
	}
	text := bytes.TrimRight(line, "\n")
	if len(text) > 0 {
		for ; m.empty > 0; m.empty-- {
			m.sum.Write([]byte("\n"))
		}
		m.sum.Write(text)
	}
	m.empty += len(line) - len(text)
}

// end gives the message to visit. The empty lines at its end do not count.
func (m *message) end(visit func(found)) {
	if m != nil {
		visit(found{m.from, m.sum.Sum(nil)})
	}
}
