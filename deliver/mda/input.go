package mda

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// input is the standard input of a program. We keep the read end open as well, to
// count in the end what the program has left in the pipe.
type input struct {
	r, w   *os.File
	size   int64
	room   int64 // octets the pipe holds
	src    *source
	feeder *exec.Cmd // writes in place of copy, or nil
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

// newInput begins to write the message into a pipe. A message that does not fit
// into it is written by a process of its own, from the file of the spool: should
// popfetch die while the program reads, that process goes on. An end of file in
// the middle of the message would look like its end.
func newInput(s *spool) (*input, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	in := &input{
		r: r, w: w, size: s.size, room: widen(w, s.size), src: &source{Reader: s.reader()},
		ended: make(chan struct{}), broken: make(chan error, 1),
	}
	if in.size > in.room {
		if in.feeder, err = feed(s, w); err != nil {
			r.Close()
			w.Close()
			return nil, err
		}
		go in.await(s.file)
		return in, nil
	}
	go in.copy()
	return in, nil
}

// feed starts a process that writes the spooled message to w.
func feed(s *spool, w *os.File) (*exec.Cmd, error) {
	if s.file == nil {
		if err := s.toFile(); err != nil {
			return nil, err
		}
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	cat := exec.Command("cat")
	cat.Stdin, cat.Stdout = s.file, w
	cat.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // no signal for popfetch's group reaches it
	closeOnExec()
	return cat, cat.Start()
}

// await waits for the feeder. The write end that is ours keeps the program from
// seeing an end before the message was written whole.
func (in *input) await(spool *os.File) {
	defer close(in.ended)
	if err := in.feeder.Wait(); err != nil {
		in.broken <- fmt.Errorf("cat: %w", err)
		return
	}
	// The feeder and we share the place in the file.
	var err error
	if in.sent, err = spool.Seek(0, io.SeekCurrent); err == nil && in.sent < in.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		in.broken <- err
		return
	}
	in.w.Close()
}

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

// preload waits, where the whole message fits into the pipe, until it is there: then
// not even the death of popfetch can cut it short.
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

// taken returns, after the end of the program, how many octets it has read.
func (in *input) taken() int64 {
	rest := make(chan int64, 1)
	if in.feeder == nil {
		in.stop()
	}
	go func() {
		n, _ := io.Copy(io.Discard, in.r)
		rest <- n
	}()
	<-in.ended // a feeder ends too: whatever it writes is read
	in.w.Close()
	return in.sent - <-rest
}

// stop ends the writing. The write end is closed after it.
func (in *input) stop() {
	if in.feeder != nil {
		_ = in.feeder.Process.Kill() // an error means that it has ended
	} else {
		_ = in.w.SetWriteDeadline(time.Unix(1, 0)) // fails where it is closed already
	}
	<-in.ended
	in.w.Close()
}

func (in *input) close() {
	in.stop()
	in.r.Close()
}
