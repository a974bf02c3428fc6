package mbox

import (
	"bytes"
	"crypto/sha256"
	"io"
	"slices"
)

const (
	// firstMark is the number of octets that the first digest is of.
	firstMark = 64
	// markSize is how much of each digest is kept.
	markSize = 8
)

// marks are digests of the beginning of a text, of twice as much, and so on, and of the whole
// text. They tell whether a file ends in a part of the text.
type marks struct {
	Head  []byte   `json:"head"`  // the first octets of the text, up to firstMark
	Parts [][]byte `json:"parts"` // of firstMark octets, of twice as many, ...
	Whole []byte   `json:"whole"`
	NULs  int64    `json:"nuls,omitempty"` // that the text has
}

// newMarks reads a text to its end.
func newMarks(r io.Reader) (marks, error) {
	var m marks
	sum := sha256.New()
	var n int64
	next := int64(firstMark)
	buf := make([]byte, chunk)
	for {
		got, err := io.ReadFull(r, buf[:min(int64(len(buf)), next-n)])
		part := buf[:got]
		sum.Write(part)
		n += int64(got)
		m.NULs += int64(bytes.Count(part, []byte{0}))
		if n <= firstMark {
			m.Head = append(m.Head, part...)
		}
		if n == next {
			m.Parts = append(m.Parts, sum.Sum(nil)[:markSize])
			next *= 2
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			m.Whole = sum.Sum(nil)
			return m, nil
		default:
			return m, err
		}
	}
}

func (m marks) equal(other marks) bool {
	return bytes.Equal(m.Head, other.Head) && bytes.Equal(m.Whole, other.Whole)
}

// hasBegun reports whether tail, marks of the octets at the end of a file, may be of a
// part of the text and of nothing else: what is there is the text as far as the digests
// reach, at least half of it, or it has more NULs than the text, since a power cut has left
// zeros in place of some of it.
func (m marks) hasBegun(tail marks) bool {
	if tail.NULs > m.NULs {
		return matches(m.Head, tail.Head, true)
	}
	return matches(m.Head, tail.Head, false) && len(tail.Parts) <= len(m.Parts) &&
		slices.EqualFunc(tail.Parts, m.Parts[:len(tail.Parts)], bytes.Equal)
}

// matches reports whether tail is the beginning of head, where with holes a NUL stands for
// any octet.
func matches(head, tail []byte, holes bool) bool {
	if len(tail) > len(head) {
		return false
	}
	for i, c := range tail {
		if c != head[i] && !(holes && c == 0) {
			return false
		}
	}
	return true
}
