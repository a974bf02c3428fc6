// Package spool holds one whole message between its receipt and its delivery, for a
// destination that sends it on instead of storing it: no broken connection to the POP3
// server then cuts what is sent.
package spool

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

const (
	// MaxMemory is the length in octets of the longest message that is kept in memory.
	MaxMemory = 1 << 20
	// maxHead is the greatest length in octets of Head.
	maxHead = 64 << 10
	// chunk is the length in octets of one read.
	chunk = 32 << 10
)

// Spool holds one whole message: a short one in memory, a longer one in a file
// without a name, which disappears with the process. It is not safe for concurrent use.
type Spool struct {
	mem  []byte   // the message, or its beginning
	file *os.File // the whole message, or nil
	size int64
	most int64 // octets that are kept in memory
	room int64 // octets that the file may have, once there is one
	dir  string
}

// New reads r to its end. A message over MaxMemory goes to a file in the directory dir,
// "" = os.TempDir. A read error is returned wrapped, any other error is a *deliver.Error
// of scope Place, or Room if the disk is full.
func New(ctx context.Context, dir string, r io.Reader) (*Spool, error) {
	return NewWithin(ctx, dir, MaxMemory, r)
}

// NewWithin is New with another greatest length of a message in memory, for a destination
// that holds many messages at a time.
func NewWithin(ctx context.Context, dir string, most int64, r io.Reader) (*Spool, error) {
	s := &Spool{dir: cmp.Or(dir, os.TempDir()), most: most}
	if err := s.fill(ctx, r); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// fill reads r to its end.
func (s *Spool) fill(ctx context.Context, r io.Reader) error {
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

func (s *Spool) add(p []byte) error {
	s.size += int64(len(p))
	if s.file == nil {
		if s.size <= s.most {
			s.mem = append(s.mem, p...)
			return nil
		}
		if err := s.toFile(); err != nil {
			return err
		}
	}
	if s.size > s.room {
		return unix.ENOSPC
	}
	_, err := s.file.Write(p)
	return err
}

// toFile moves the octets so far to a file. It keeps the first maxHead octets in memory
// too.
func (s *Spool) toFile() error {
	f, err := os.CreateTemp(s.dir, "popfetch-") // mode 0600, O_EXCL
	if err != nil {
		return err
	}
	s.file, s.room = f, math.MaxInt64
	if room, known := durable.Room(s.dir); known {
		s.room = room
	}
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	if _, err := f.Write(s.mem); err != nil {
		return err
	}
	s.mem = bytes.Clone(s.mem[:min(len(s.mem), maxHead)])
	return nil
}

// fail returns the error for an operation of the spool that failed.
func (s *Spool) fail(op string, err error) error {
	cause := durable.Explain(err)
	scope := deliver.Place
	if durable.NoRoom(err) {
		scope = deliver.Room
	}
	return &deliver.Error{
		Op: op, Path: "spool directory " + s.dir, Scope: scope,
		Temporary: cause.Temporary, Hint: cause.Hint, Err: err,
	}
}

// Room returns the length of the longest message that New can take now, if that is known. dir
// is as for New.
func Room(dir string) (octets int64, known bool) {
	octets, known = durable.Room(cmp.Or(dir, os.TempDir()))
	return max(octets, MaxMemory), known
}

// Size returns the length of the message in octets.
func (s *Spool) Size() int64 { return s.size }

// Head returns the beginning of the message, up to 64 KiB, to read its header block. It
// belongs to the Spool.
func (s *Spool) Head() []byte { return s.mem[:min(len(s.mem), maxHead)] }

// Reader returns a reader of the message from its beginning.
func (s *Spool) Reader() io.Reader {
	if s.file == nil {
		return bytes.NewReader(s.mem)
	}
	return io.NewSectionReader(s.file, 0, s.size)
}

// File returns the message as a file, positioned at its beginning, for another process. A
// message in memory is written to a file first. The file belongs to the Spool. Errors
// are those of the operating system.
func (s *Spool) File() (*os.File, error) {
	if s.file == nil {
		if err := s.toFile(); err != nil {
			return nil, err
		}
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return s.file, err
}

// Sync returns an error if a write to the file was lost.
func (s *Spool) Sync() error {
	if s.file == nil {
		return nil
	}
	if err := s.file.Sync(); err != nil {
		return s.fail("sync in", err)
	}
	return nil
}

// Close frees memory and file. It may be called more than once.
func (s *Spool) Close() {
	if s.file != nil {
		s.file.Close()
	}
	s.file, s.mem = nil, nil
}
