package spool

import (
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"

	"popfetch/deliver"
)

func TestMessageIsReadAsItCame(t *testing.T) {
	dir := t.TempDir()
	for _, size := range []int{0, 1, maxHead, maxHead + 1, MaxMemory, MaxMemory + 1, 3 << 20} {
		text := strings.Repeat("0123456789\r\n", size/12+1)[:size]
		s, err := New(t.Context(), dir, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if s.Size() != int64(size) || string(s.Head()) != text[:min(size, maxHead)] {
			t.Errorf("%d octets: size %d, head of %d octets", size, s.Size(), len(s.Head()))
		}
		if err := s.Sync(); err != nil {
			t.Errorf("%d octets: sync: %v", size, err)
		}
		for range 2 {
			if got, err := io.ReadAll(s.Reader()); err != nil || string(got) != text {
				t.Errorf("%d octets: the reader returns %d others, %v", size, len(got), err)
			}
			file, err := s.File()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(file); err != nil || string(got) != text {
				t.Errorf("%d octets: the file has %d others, %v", size, len(got), err)
			}
		}
		s.Close()
		s.Close()
	}
}

func TestFileIsPrivateAndHasNoName(t *testing.T) {
	dir := t.TempDir()
	s, err := New(t.Context(), dir, strings.NewReader(strings.Repeat("x", MaxMemory+1)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.file == nil || len(s.mem) > maxHead {
		t.Errorf("a message over the limit keeps %d octets in memory", len(s.mem))
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) > 0 {
		t.Errorf("the directory has %v, %v", names, err)
	}
	info, err := s.file.Stat()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestDirectoryThatIsNoneIsAnErrorOfThePlace(t *testing.T) {
	_, err := New(t.Context(), "/dev/full", strings.NewReader(strings.Repeat("x", MaxMemory+1)))
	var e *deliver.Error
	if !errors.As(err, &e) || e.Scope != deliver.Place || !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("got %v", err)
	}
}

func TestFullDiskHasNoRoomForTheMessage(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &Spool{dir: "/var/spool", file: full, room: math.MaxInt64}
	defer s.Close()
	err = s.fill(t.Context(), strings.NewReader("text"))
	var e *deliver.Error
	if !errors.As(err, &e) || e.Scope != deliver.Room || !strings.HasPrefix(e.Hint, "disk full") {
		t.Errorf("got %v", err)
	}
}
