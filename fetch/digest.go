package fetch

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
)

// digestLimit is how many octets of a header block count.
const digestLimit = 64 << 10

// digest is the digest of a message's header block: the octets as the server
// sends them, up to and including the empty line. RETR and TOP n 0 give the
// same one, so that a message can be recognised without its body.
type digest struct {
	hash hash.Hash
	left int
	tail [3]byte // the last octets, to see an empty line over two writes
	done bool
}

func newDigest() *digest {
	// A message without a header begins with the empty line: what is before it
	// counts as the end of a line.
	return &digest{hash: sha256.New(), left: digestLimit, tail: [3]byte{0, '\r', '\n'}}
}

// Write takes the next octets of the message. It never fails.
func (d *digest) Write(p []byte) (int, error) {
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

// headerEnd returns the index in p behind the empty line that ends the header
// block, -1 if it does not end in p.
func (d *digest) headerEnd(p []byte) int {
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

// Sum returns the digest of what was written.
func (d *digest) Sum() (sum [16]byte) {
	copy(sum[:], d.hash.Sum(nil))
	return sum
}

// digestOf reads a header block to its end.
func digestOf(r io.Reader) ([16]byte, error) {
	d := newDigest()
	_, err := io.Copy(d, r)
	return d.Sum(), err
}
