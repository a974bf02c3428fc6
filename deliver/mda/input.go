package mda

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"popfetch/internal/spool"
)

// input is the standard input of a program: a pipe, and what writes the message to it. The
// read end stays open here too, to count in the end what the program did not read.
type input struct {
	r, w   *os.File
	size   int64
	room   int64 // capacity of the pipe in octets
	src    *source
	feeder *exec.Cmd     // process that writes the message; nil = copy does
	sent   int64         // octets written; valid when ended is closed
	ended  chan struct{} // closed at the end of writing
	broken chan error    // gets the error if the message was not written whole
}

// source reads the message and keeps its read error. The error of io.Copy could be one of
// the pipe.
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

// newInput begins to write the message into a pipe. If the pipe cannot hold the whole
// message, another process writes it, from the file of the spool. That process continues
// if popfetch dies while the program reads: the program must not take an end of file in
// the middle of the message for its end.
func newInput(s *spool.Spool) (*input, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	in := &input{
		r: r, w: w, size: s.Size(), room: widen(w, s.Size()), src: &source{Reader: s.Reader()},
		ended: make(chan struct{}), broken: make(chan error, 1),
	}
	if in.size > in.room {
		file, err := s.File()
		if err == nil {
			in.feeder, err = feed(file, w)
		}
		if err != nil {
			r.Close()
			w.Close()
			return nil, err
		}
		go in.await(file)
		return in, nil
	}
	go in.copy()
	return in, nil
}

// feed starts a process that writes file to w.
func feed(file, w *os.File) (*exec.Cmd, error) {
	cat := exec.Command("cat")
	cat.Stdin, cat.Stdout = file, w
	cat.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a kill of popfetch's process group does not reach it
	closeOnExec()
	return cat, cat.Start()
}

// await waits for the feeder. Until the message is written whole, our write end stays open,
// so that the program sees no end of file.
func (in *input) await(file *os.File) {
	defer close(in.ended)
	if err := in.feeder.Wait(); err != nil {
		in.broken <- fmt.Errorf("cat: %w", err)
		return
	}
	// The feeder and this process share the file position.
	var err error
	if in.sent, err = file.Seek(0, io.SeekCurrent); err == nil && in.sent < in.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		in.broken <- err
		return
	}
	in.w.Close()
}

// copy writes the message, and then closes the pipe if it was written whole.
func (in *input) copy() {
	defer close(in.ended)
	in.sent, _ = io.Copy(in.w, in.src)
	switch {
	case in.src.err != nil:
		in.broken <- in.src.err
	case in.sent < in.size: // the program has ended
		in.broken <- io.ErrUnexpectedEOF
	default:
		in.w.Close() // the end of the message
	}
}

// preload waits until the message is in the pipe, if the pipe can hold it whole. From then on
// the death of popfetch cannot cut it.
func (in *input) preload(ctx context.Context) error {
	if in.feeder != nil {
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

// taken returns how many octets the program has read. It is called after its end.
func (in *input) taken() int64 {
	rest := make(chan int64, 1)
	if in.feeder == nil {
		in.stop()
	}
	go func() {
		n, _ := io.Copy(io.Discard, in.r)
		rest <- n
	}()
	<-in.ended // a feeder ends too, since all its octets are read above
	in.w.Close()
	return in.sent - <-rest
}

// stop ends the writing and closes the write end.
func (in *input) stop() {
	if in.feeder != nil {
		_ = in.feeder.Process.Kill() // an error means that it has ended
	} else {
		_ = in.w.SetWriteDeadline(time.Unix(1, 0)) // fails if it is closed already
	}
	<-in.ended
	in.w.Close()
}

func (in *input) close() {
	in.stop()
	in.r.Close()
}
