package maildir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

// Octets that are read of a message before they are written. Each Maildir uses firstBuffer
// until it gets a message that is longer, which saves memory with many accounts.
const (
	firstBuffer = 8 << 10
	bufferSize  = 64 << 10
)

// staged is one file in tmp/.
type staged struct {
	m      *Maildir
	name   string
	octets int64
	made   time.Time
	file   durable.File // open until Prepare: the kernel reports a lost write to this descriptor only
	// syncedEarly: Stage has synced and closed the file, see MaxOpen.
	syncedEarly bool
	durable     bool // after Prepare
	ended       bool // published or given up
}

// Stage implements deliver.Destination. The file gets LF line ends, as readers of
// a Maildir expect.
func (m *Maildir) Stage(ctx context.Context, _ deliver.Meta, r io.Reader) (deliver.Staged, error) {
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	now := time.Now()
	s := &staged{m: m, name: newName(now, m.Owner, m.host), made: now}
	file, err := m.tmp.Create(s.name)
	if err != nil {
		return nil, placeError("create", s.path(), err)
	}
	s.begin(file)
	if err := s.complete(ctx, deliver.NewLFReader(r)); err != nil {
		if err := s.Abort(); err != nil {
			m.Log.Warn("file of a failed delivery stays in tmp/ until the next start", "error", err)
		}
		return nil, err
	}
	return s, nil
}

// complete copies r into the file. If too many files are open it syncs and closes it.
func (s *staged) complete(ctx context.Context, r io.Reader) error {
	if err := s.fill(ctx, r); err != nil {
		return err
	}
	if !s.m.tooManyOpen() {
		return nil
	}
	if err := s.sync(); err != nil {
		return err
	}
	s.syncedEarly = true
	return nil
}

// fill copies r into the file.
func (s *staged) fill(ctx context.Context, r io.Reader) error {
	if s.m.buf == nil {
		s.m.buf = make([]byte, firstBuffer)
	}
	room, limited := s.m.Room()
	for {
		buf := s.m.buf
		var n int
		var err error
		for n < len(buf) && err == nil {
			if err := s.m.usable(ctx); err != nil {
				return err
			}
			var got int
			got, err = r.Read(buf[n:])
			n += got
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("receive message: %w", err)
		}
		if limited && s.octets+int64(n) > room {
			return fileError("write", s.path(), unix.ENOSPC)
		}
		if _, err := s.file.Write(buf[:n]); err != nil {
			return fileError("write", s.path(), err)
		}
		s.octets += int64(n)
		if err == io.EOF {
			return nil
		}
		if len(buf) < bufferSize {
			s.m.buf = make([]byte, bufferSize)
		}
	}
}

// Room implements deliver.Limited.
func (m *Maildir) Room() (octets int64, known bool) { return durable.Room(m.Path) }

func (s *staged) path() string { return filepath.Join(s.m.Path, "tmp", s.name) }

// Intent implements deliver.Staged.
func (s *staged) Intent() deliver.Intent {
	return note{
		Dir: s.m.Path, Name: s.name, Octets: s.octets, Time: s.made.Unix(),
		Device: s.m.id.Device, Inode: s.m.id.Inode, Born: s.m.id.Born,
	}.intent()
}

// Abort implements deliver.Staged.
func (s *staged) Abort() error {
	if s.ended {
		return nil
	}
	if s.file != nil {
		_ = s.close() // the content is not needed
	}
	if err := s.m.tmp.Remove(s.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return placeError("remove", s.path(), err)
	}
	s.end()
	return nil
}

// begin registers the new file in tmp/.
func (s *staged) begin(file durable.File) {
	s.file = file
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.open++
	s.m.live[s.name] = struct{}{}
}

// close closes the file and stops counting it as open.
func (s *staged) close() error {
	err := s.file.Close()
	s.file = nil
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.open--
	return err
}

// end unregisters the file in tmp/: it is published or removed.
func (s *staged) end() {
	s.ended = true
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	delete(s.m.live, s.name)
}

// tooManyOpen reports whether more than MaxOpen files are open.
func (m *Maildir) tooManyOpen() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.MaxOpen > 0 && m.open > m.MaxOpen
}
