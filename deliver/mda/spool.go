package mda

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

const (
	maxMemory = 1 << 20  // octets of the longest message that is kept in memory
	chunk     = 32 << 10 // octets of one read
	maxHeader = 64 << 10 // octets of a message that are searched for header fields
)

// spool holds one whole message: up to maxMemory octets in memory, a longer one in a file
// without a name, which disappears with the process.
type spool struct {
	mem  []byte   // the message, or its beginning
	file *os.File // the whole message, or nil
	size int64
	dir  string
}

// newSpool reads r to its end. A read error is returned wrapped, any other error is a
// *deliver.Error.
func newSpool(ctx context.Context, dir string, r io.Reader) (*spool, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	s := &spool{dir: dir}
	if err := s.fill(ctx, r); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// fill reads r to its end.
func (s *spool) fill(ctx context.Context, r io.Reader) error {
	buf := make([]byte, chunk)
	for {
		if ctx.Err() != nil {
			return &deliver.Error{Op: "spool to", Path: s.dir, Temporary: true, Err: context.Cause(ctx)}
		}
		n, err := r.Read(buf)
		if err := s.add(buf[:n]); err != nil {
			return s.fail("write to", err)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive message: %w", err)
		}
	}
}

func (s *spool) add(p []byte) error {
	s.size += int64(len(p))
	if s.file == nil {
		if s.size <= maxMemory {
			s.mem = append(s.mem, p...)
			return nil
		}
		if err := s.toFile(); err != nil {
			return err
		}
	}
	_, err := s.file.Write(p)
	return err
}

// toFile moves the octets so far to a file. It keeps the first maxHeader octets in memory
// too.
func (s *spool) toFile() error {
	f, err := os.CreateTemp(s.dir, "popfetch-") // mode 0600, O_EXCL
	if err != nil {
		return err
	}
	s.file = f
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	if _, err := f.Write(s.mem); err != nil {
		return err
	}
	s.mem = bytes.Clone(s.mem[:min(len(s.mem), maxHeader)])
	return nil
}

// fail returns the error for an operation of the spool that failed.
func (s *spool) fail(op string, err error) error {
	cause := durable.Explain(err)
	return &deliver.Error{
		Op: op, Path: "spool directory " + s.dir, Scope: deliver.Place,
		Temporary: cause.Temporary, Hint: cause.Hint, Err: err,
	}
}

// sync finds write errors of the file.
func (s *spool) sync() error {
	if s.file == nil {
		return nil
	}
	if err := s.file.Sync(); err != nil {
		return s.fail("sync in", err)
	}
	return nil
}

// head returns the beginning of the message, at most maxHeader octets.
func (s *spool) head() []byte { return s.mem[:min(len(s.mem), maxHeader)] }

// reader returns the message from its beginning.
func (s *spool) reader() io.Reader {
	if s.file == nil {
		return bytes.NewReader(s.mem)
	}
	return io.NewSectionReader(s.file, 0, s.size)
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
	s.file, s.mem = nil, nil
}
