package fetch

import (
	"errors"
	"io"

	"popfetch/fetch/plan"
)

// body is a message as it comes from the server. It counts, tells the identity of the
// message, and keeps the server's error apart from the destination's.
type body struct {
	r          io.Reader
	identifier *plan.Identifier
	limit      int64 // octets, 0 = none
	progress   Progress
	between    func() // called before each read
	octets     int64
	head       [4]byte // the first octets
	err        error   // why reading ended, nil at io.EOF
}

// errTooBig ends a body that grows beyond the limit of the account.
var errTooBig = errors.New("message is too big")

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	b.between()
	n, err := b.r.Read(p)
	if b.octets < int64(len(b.head)) {
		copy(b.head[b.octets:], p[:n])
	}
	b.octets += int64(n)
	b.identifier.Write(p[:n])
	if b.progress != nil {
		b.progress.Received(n)
	}
	if err != nil && err != io.EOF {
		b.err = err
	} else if b.limit > 0 && b.octets > b.limit {
		b.err = errTooBig
	}
	if b.err != nil {
		return n, b.err
	}
	return n, err
}
