package mda

import (
	"context"
	"io"
	"os"
	"time"
)

// input is the standard input of a program. We keep the read end open as well, to
// count in the end what the program has left in the pipe.
type input struct {
	r, w   *os.File
	size   int64
	room   int64 // octets the pipe holds
	src    *source
	sent   int64
	ended  chan struct{} // closed when the copying has ended, sent is valid then
	broken chan error    // gets the read error of src
}

// source is the reader of the message, which remembers its error: that of a
// copy may as well be of the pipe.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// newInput begins to write the message into a pipe.
func newInput(s *spool) (*input, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	in := &input{
		r: r, w: w, size: s.size, room: widen(w, s.size), src: &source{Reader: s.reader()},
		ended: make(chan struct{}), broken: make(chan error, 1),
	}
	go in.copy()
	return in, nil
}

func (in *input) copy() {
	defer close(in.ended)
	in.sent, _ = io.Copy(in.w, in.src)
	switch {
	case in.src.err != nil:
		in.broken <- in.src.err
	case in.sent < in.size: // the file has become shorter, or the program has ended
		in.broken <- io.ErrUnexpectedEOF
	default:
		in.w.Close() // the end of the message
	}
}

// preload waits, where the whole message fits into the pipe, until it is there: then
// not even the death of popfetch can cut it short.
func (in *input) preload(ctx context.Context) error {
	if in.size > in.room {
		return nil
	}
	select {
	case <-in.ended:
	case <-ctx.Done():
	}
	select {
	case err := <-in.broken:
		return err
	default:
		return nil
	}
}

// taken returns, after the end of the program, how many octets it has read.
func (in *input) taken() int64 {
	in.stop()
	rest, _ := io.Copy(io.Discard, in.r)
	return in.sent - rest
}

// stop ends the copying. The write end is closed after it.
func (in *input) stop() {
	_ = in.w.SetWriteDeadline(time.Unix(1, 0)) // fails where it is closed already
	<-in.ended
	in.w.Close()
}

func (in *input) close() {
	in.stop()
	in.r.Close()
}
