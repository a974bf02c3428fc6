package plan

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
)

// digestLimit is how many octets of a header block enter its digest.
const digestLimit = 64 << 10

// Digest is a writer that computes the digest of a message's header block: of the
// octets that the server sends, up to and including the empty line. RETR and TOP n
// 0 give the same digest, so a message can be recognised without its body.
type Digest struct {
	hash hash.Hash
	left int
	tail [3]byte // the last octets written: an empty line may span two writes
	done bool
}

// NewDigest returns the digest of nothing.
func NewDigest() *Digest {
	// A message without header fields begins with the empty line, so the start
	// counts as the end of a line.
	return &Digest{hash: sha256.New(), left: digestLimit, tail: [3]byte{0, '\r', '\n'}}
}

// Write adds the next octets of the message, in wire form. It never fails.
func (d *Digest) Write(p []byte) (int, error) {
	if d.done {
		return len(p), nil
	}
	head := p[:min(len(p), d.left)]
	if end := d.headerEnd(head); end >= 0 {
		head, d.done = head[:end], true
	}
	d.hash.Write(head)
	d.left -= len(head)
	d.done = d.done || d.left == 0
	for _, c := range head[max(0, len(head)-3):] {
		d.tail[0], d.tail[1], d.tail[2] = d.tail[1], d.tail[2], c
	}
	return len(p), nil
}

// headerEnd returns the index in p after the empty line that ends the header
// block, or -1 if the block does not end in p.
func (d *Digest) headerEnd(p []byte) int {
	var seam [6]byte // the tail and the first octets of p
	n := copy(seam[:], d.tail[:])
	n += copy(seam[n:], p)
	if i := bytes.Index(seam[:n], emptyLine); i >= 0 {
		return i + len(emptyLine) - len(d.tail)
	}
	if i := bytes.Index(p, emptyLine); i >= 0 {
		return i + len(emptyLine)
	}
	return -1
}

var emptyLine = []byte("\r\n\r\n")

// Sum returns the digest of what was written so far.
func (d *Digest) Sum() (sum [16]byte) {
	copy(sum[:], d.hash.Sum(nil))
	return sum
}

// DigestOf reads a header block or a whole message, in wire form, to its end.
func DigestOf(r io.Reader) ([16]byte, error) {
	d := NewDigest()
	_, err := io.Copy(d, r)
	return d.Sum(), err
}
