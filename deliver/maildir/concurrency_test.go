package maildir

import (
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"

	"popfetch/deliver"
)

// While an operation of Prepare or Publish lasts, one message is staged and another one is
// given up.
func TestStageAndAbortDoNotWaitForTheDisk(t *testing.T) {
	m, f := openMaildir(t)
	group := stage(t, m, "first")
	var beside []deliver.Staged
	f.Before = func(op string) {
		if op != "sync file" && !strings.HasPrefix(op, "sync ") && !strings.HasPrefix(op, "rename") {
			return // an operation of the Stage and Abort below
		}
		done := make(chan error)
		go func() {
			kept, err := m.Stage(t.Context(), deliver.Meta{}, strings.NewReader(op))
			if err != nil {
				done <- err
				return
			}
			beside = append(beside, kept)
			other, err := m.Stage(t.Context(), deliver.Meta{}, strings.NewReader("given up"))
			if err == nil {
				err = other.Abort()
			}
			done <- err
		}()
		if err := <-done; err != nil {
			t.Errorf("beside %s: %v", op, err)
		}
	}
	prepare(t, m, group)
	publish(t, m, group)
	f.Before = nil
	prepare(t, m, beside)
	publish(t, m, beside)
	got := delivered(t, m.Path)
	slices.Sort(got)
	want := []string{"first", "rename tmp/NAME new/NAME,S=5", "sync file", "sync new", "sync tmp"}
	if !slices.Equal(got, want) || m.open != 0 || len(m.live) > 0 {
		t.Errorf("delivered %q, %d files count as open, %d as in tmp", got, m.open, len(m.live))
	}
}

// A failed directory sync also ends the message that is being staged: it could not be
// delivered.
func TestFailedDirectorySyncEndsStage(t *testing.T) {
	m, f := openMaildir(t)
	group := stage(t, m, "first")
	f.Fail = func(_ int, op string) error {
		if op == "sync tmp" {
			return syscall.EIO
		}
		return nil
	}
	rest := strings.NewReader(strings.Repeat("rest", bufferSize))
	r := io.MultiReader(strings.NewReader("beginning"), readerFunc(func([]byte) (int, error) {
		done := make(chan []error)
		go func() { done <- m.Prepare(t.Context(), group) }()
		if errs := <-done; errs == nil {
			t.Error("prepared")
		}
		return 0, io.EOF
	}), rest)
	s, err := m.Stage(t.Context(), deliver.Meta{}, r)
	if s != nil || !errors.Is(err, syscall.EIO) || rest.Len() == 0 {
		t.Errorf("Stage = %v, %v, with %d octets left to read", s, err, rest.Len())
	}
	if err := group[0].Abort(); err != nil {
		t.Error(err)
	}
	if left := list(t, m, "tmp"); len(left) > 0 {
		t.Errorf("tmp has %q", left)
	}
}

// The same with Stage and Prepare unsynchronised, for the race detector.
func TestFailedDirectorySyncEndsConcurrentStage(t *testing.T) {
	m, f := openMaildir(t)
	group := stage(t, m, "first")
	f.Fail = func(_ int, op string) error {
		if op == "sync tmp" {
			return syscall.EIO
		}
		return nil
	}
	go m.Prepare(t.Context(), group)
	for {
		s, err := m.Stage(t.Context(), deliver.Meta{}, strings.NewReader("text"))
		if errors.Is(err, syscall.EIO) {
			return
		}
		if err == nil {
			err = s.Abort()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (r readerFunc) Read(p []byte) (int, error) { return r(p) }

// Files in Prepare count as open until they are synced.
func TestFilesInPrepareCountAsOpen(t *testing.T) {
	m, f := newMaildir(t)
	m.MaxOpen, m.Syncs = 2, semaphore.NewWeighted(0) // one sync after the other
	if err := m.Open(); err != nil {
		t.Fatal(err)
	}
	group := stage(t, m, "1", "2")
	var isOpen []bool // of the files that are staged during a sync
	begun := 0
	f.Before = func(op string) {
		if op != "sync file" {
			return
		}
		if begun++; begun == 2 {
			return // the early sync of what is staged here
		}
		isOpen = append(isOpen, stage(t, m, "beside")[0].(*staged).file != nil)
	}
	prepare(t, m, group)
	// Both files of the group were open at the first sync of Prepare, and one at the second.
	if !slices.Equal(isOpen, []bool{false, true}) || m.open != 1 {
		t.Errorf("open after Stage: %v; in the end %d files count as open", isOpen, m.open)
	}
}

// syncing counts the syncs that run at once.
type syncing struct {
	mu        sync.Mutex
	now, most int
	gate      chan struct{} // closed when the syncs may end
}

// wait is a call of FS.Before: it holds each sync until gate is closed.
func (s *syncing) wait(op string) {
	if !strings.HasPrefix(op, "sync") {
		return
	}
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	<-s.gate
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
}

// count returns how many syncs run, and the most at once so far.
func (s *syncing) count() (now, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.most
}

// Maildirs that share Syncs run at most that many syncs at once, and one more for each
// Maildir, however many messages they deliver.
func TestSharedSyncsLimitAllMaildirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maildirs, limit = 3, 4
		shared := semaphore.NewWeighted(limit)
		syncs := &syncing{gate: make(chan struct{})}
		var polls sync.WaitGroup
		for range maildirs {
			m, f := newMaildir(t)
			m.Syncs, m.together = shared, 1000
			if err := m.Open(); err != nil {
				t.Fatal(err)
			}
			group := stage(t, m, slices.Repeat([]string{"text"}, 20)...)
			f.Before = syncs.wait
			polls.Go(func() {
				if err := errors.Join(m.Prepare(t.Context(), group)...); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if now, _ := syncs.count(); now != limit+maildirs {
			t.Errorf("%d syncs at once, want %d", now, limit+maildirs)
		}
		close(syncs.gate)
		polls.Wait()
		if now, most := syncs.count(); now != 0 || most != limit+maildirs {
			t.Errorf("%d syncs left, at most %d at once, want %d", now, most, limit+maildirs)
		}
		if !shared.TryAcquire(limit) {
			t.Error("a part of Syncs was not released")
		}
	})
}

// While the syncs of one Maildir hang and hold all of Syncs, another Maildir delivers.
func TestHungDiskDoesNotBlockOtherMaildirs(t *testing.T) {
	shared := semaphore.NewWeighted(2)
	hung, f := newMaildir(t)
	hung.Syncs = shared
	if err := hung.Open(); err != nil {
		t.Fatal(err)
	}
	group := stage(t, hung, "1", "2", "3") // one more than Syncs has
	begun, gate := make(chan struct{}), make(chan struct{})
	f.Before = func(op string) {
		if op == "sync file" {
			begun <- struct{}{}
			<-gate
		}
	}
	done := make(chan []error)
	go func() { done <- hung.Prepare(t.Context(), group) }()
	for range group {
		<-begun
	}
	m, _ := newMaildir(t)
	m.Syncs = shared
	if err := m.Open(); err != nil {
		t.Fatal(err)
	}
	texts := []string{"a", "b", "c"}
	other := stage(t, m, texts...)
	prepare(t, m, other)
	publish(t, m, other)
	got := delivered(t, m.Path)
	slices.Sort(got)
	if !slices.Equal(got, texts) {
		t.Errorf("delivered %q", got)
	}
	close(gate)
	if err := errors.Join(<-done...); err != nil {
		t.Error(err)
	}
}

// Where each sync takes 30 s, a whole group takes less than the ten minutes after which a
// server may close an idle session (RFC 1939 section 3).
func TestSlowDiskKeepsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := openMaildir(t)
		var texts []string
		for range m.Group() {
			texts = append(texts, "text")
		}
		group := stage(t, m, texts...)
		f.Before = func(op string) {
			if strings.HasPrefix(op, "sync") {
				time.Sleep(30 * time.Second)
			}
		}
		start := time.Now()
		prepare(t, m, group)
		publish(t, m, group)
		if took := time.Since(start); took < time.Minute || took > 5*time.Minute {
			t.Errorf("a group took %v", took)
		}
	})
}
