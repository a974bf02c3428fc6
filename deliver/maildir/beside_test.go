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

	"golang.org/x/sync/semaphore"

	"popfetch/deliver"
)

// TestNothingWaitsForTheDisk: while an operation of Prepare or Publish lasts, one message
// is received and another one given up.
func TestNothingWaitsForTheDisk(t *testing.T) {
	m, f := openMaildir(t)
	group := stage(t, m, "first")
	var beside []deliver.Staged
	f.more = func(op string) {
		if op != "sync file" && !strings.HasPrefix(op, "sync ") && !strings.HasPrefix(op, "rename") {
			return // it is of what is done here
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
	f.more = nil
	prepare(t, m, beside)
	publish(t, m, beside)
	got := delivered(t, m.Path)
	slices.Sort(got)
	want := []string{"first", "rename tmp/NAME new/NAME,S=5", "sync file", "sync new", "sync tmp"}
	if !slices.Equal(got, want) || m.open != 0 || len(m.live) > 0 {
		t.Errorf("delivered %q, %d files count as open, %d as in tmp", got, m.open, len(m.live))
	}
}

// TestFailedDirectorySyncEndsStage: a message that is being received is not wanted any
// more when the Maildir turns out to be of no use.
func TestFailedDirectorySyncEndsStage(t *testing.T) {
	m, f := openMaildir(t)
	group := stage(t, m, "first")
	f.fail = func(_ int, op string) error {
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

// TestFailedDirectorySyncEndsStaging is the same without a wait, for the race detector.
func TestFailedDirectorySyncEndsStaging(t *testing.T) {
	m, f := openMaildir(t)
	group := stage(t, m, "first")
	f.fail = func(_ int, op string) error {
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

// TestFilesInPrepareCountAsOpen: their descriptors are taken until they are synced.
func TestFilesInPrepareCountAsOpen(t *testing.T) {
	m, f := newMaildir(t)
	m.MaxOpen, m.Syncs = 2, semaphore.NewWeighted(0) // one sync after the other
	if err := m.Open(); err != nil {
		t.Fatal(err)
	}
	group := stage(t, m, "1", "2")
	var isOpen []bool
	begun := 0
	f.more = func(op string) {
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

// syncing counts the syncs that run.
type syncing struct {
	mu        sync.Mutex
	now, most int
	gate      chan struct{} // closed when they may end
}

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

func (s *syncing) count() (now, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.most
}

// TestSyncsAreLimitedTogether: Maildirs that share Syncs have no more than so many
// syncs at once, and one for each, however many messages they are given.
func TestSyncsAreLimitedTogether(t *testing.T) {
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
			f.more = syncs.wait
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
			t.Error("something of Syncs was not given back")
		}
	})
}

// TestHungDiskHoldsUpNoOther: a Maildir whose syncs never end has taken all there is of
// Syncs, and another one delivers.
func TestHungDiskHoldsUpNoOther(t *testing.T) {
	shared := semaphore.NewWeighted(2)
	hung, f := newMaildir(t)
	hung.Syncs = shared
	if err := hung.Open(); err != nil {
		t.Fatal(err)
	}
	group := stage(t, hung, "1", "2", "3") // one more than Syncs has
	begun, gate := make(chan struct{}), make(chan struct{})
	f.more = func(op string) {
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
