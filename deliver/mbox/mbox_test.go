package mbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/deliver/delivertest"
	"popfetch/internal/durable/faultfs"
)

const testOwner = "0123456789abcdef"

func TestConformance(t *testing.T) {
	delivertest.Run(t, func(t *testing.T) delivertest.Fixture {
		path := filepath.Join(t.TempDir(), "work.mbox")
		f := &faultfs.FS{}
		return delivertest.Fixture{
			Open: func() deliver.Destination {
				return &Mbox{Path: path, Owner: testOwner, Spool: t.TempDir(), fs: f}
			},
			Recover: func(ctx context.Context, in deliver.Intent) (deliver.Outcome, error) {
				f.Die()
				return recovery{fs: f, timeout: time.Minute}.run(ctx, in)
			},
			Faults:    f,
			Stored:    stored,
			Delivered: func() []string { return read(t, path) },
			Leftovers: func() []string {
				names, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
				if err != nil {
					t.Fatal(err)
				}
				// The next delivery removes a lock file that could not be removed.
				return slices.DeleteFunc(names, func(name string) bool {
					return name == path || strings.HasPrefix(name, path+lockSuffix)
				})
			},
		}
	})
}

// stored returns how a message is read from an mbox: with LF, and with an end of its last line.
func stored(wire string) string {
	text := delivertest.LF(wire)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// read returns the messages of the mbox at path, none if there is no file. It fails the test
// if the file is not an mbox of whole messages, unless its lock keeps readers away.
func read(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	messages, err := unpack(string(text))
	if _, unlocked := os.Stat(path + lockSuffix); unlocked != nil && err != nil {
		t.Fatal(err)
	}
	return messages
}

// unpack returns the messages of an mboxrd file.
func unpack(text string) (messages []string, err error) {
	for text != "" {
		first, rest, ok := strings.Cut(text, "\n")
		if !ok || !strings.HasPrefix(first, separator) {
			return messages, fmt.Errorf("%.60q is not a From line", first)
		}
		end := len(rest)
		if strings.HasPrefix(rest, separator) {
			return messages, fmt.Errorf("no empty line before %.60q", rest)
		}
		if i := strings.Index(rest, "\n"+separator); i >= 0 {
			end = i + 1
		}
		body, ok := strings.CutSuffix(rest[:end], "\n")
		if !ok || body != "" && !strings.HasSuffix(body, "\n") {
			return messages, fmt.Errorf("%.60q does not end with an empty line", rest[:end])
		}
		lines := strings.SplitAfter(body, "\n")
		for i, line := range lines {
			if strings.HasPrefix(line, ">") && isQuotable([]byte(line)) {
				lines[i] = line[1:]
			}
		}
		messages = append(messages, strings.Join(lines, ""))
		text = rest[end:]
	}
	return messages, nil
}

// deliverAll delivers texts in one group and returns the intents.
func deliverAll(t *testing.T, m *Mbox, texts ...string) []deliver.Intent {
	t.Helper()
	group := stageAll(t, m, texts...)
	if err := errors.Join(m.Prepare(t.Context(), group)...); err != nil {
		t.Fatal(err)
	}
	intents := intentsOf(group)
	if err := errors.Join(m.Publish(t.Context(), group)...); err != nil {
		t.Fatal(err)
	}
	return intents
}

func stageAll(t *testing.T, m *Mbox, texts ...string) []deliver.Staged {
	t.Helper()
	var group []deliver.Staged
	for i, text := range texts {
		meta := deliver.Meta{ID: fmt.Sprintf("%016x", i), Account: "work", Time: time.Now()}
		s, err := m.Stage(t.Context(), meta, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		group = append(group, s)
	}
	return group
}

func intentsOf(group []deliver.Staged) []deliver.Intent {
	var intents []deliver.Intent
	for _, s := range group {
		intents = append(intents, s.Intent())
	}
	return intents
}

func newMbox(t *testing.T) *Mbox {
	t.Helper()
	m := &Mbox{Path: filepath.Join(t.TempDir(), "work.mbox"), Owner: testOwner, Spool: t.TempDir(), Timeout: 50 * time.Millisecond}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestFileIsPrivateAndAnExistingOneKeepsItsMode(t *testing.T) {
	m := newMbox(t)
	deliverAll(t, m, "Subject: 1\r\n\r\n")
	if info, err := os.Stat(m.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a new file has mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(m.Path, 0o640); err != nil {
		t.Fatal(err)
	}
	deliverAll(t, m, "Subject: 2\r\n\r\n")
	if info, err := os.Stat(m.Path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("an existing file has mode %v, %v", info.Mode(), err)
	}
}

func TestFromLineNamesSenderAndTime(t *testing.T) {
	at := time.Date(2026, 11, 6, 7, 8, 9, 0, time.FixedZone("", 3600))
	for sender, want := range map[string]string{
		"me@example.org": "From me@example.org Fri Nov  6 06:08:09 2026\n",
		"":               "From MAILER-DAEMON Fri Nov  6 06:08:09 2026\n",
	} {
		if got := fromLine(sender, at); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	m := newMbox(t)
	deliverAll(t, m, "Return-Path: <her@example.org>\r\n\r\ntext\r\n")
	if text, err := os.ReadFile(m.Path); err != nil || !strings.HasPrefix(string(text), "From her@example.org ") {
		t.Errorf("the file begins %.40q, %v", text, err)
	}
}

func TestMissingEmptyLineIsAddedBeforeTheFirstMessage(t *testing.T) {
	for _, before := range []string{"From a Fri Nov  6 06:08:09 2026\n\ntext", "From a Fri Nov  6 06:08:09 2026\n\ntext\n", "From a Fri Nov  6 06:08:09 2026\n\ntext\n\n"} {
		m := newMbox(t)
		if err := os.WriteFile(m.Path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		deliverAll(t, m, "Subject: 1\r\n\r\n")
		if got := read(t, m.Path); !slices.Equal(got, []string{"\ntext\n", "Subject: 1\n\n"}) {
			t.Errorf("after %q: %q", before, got)
		}
	}
}

func TestWhatIsNoMboxIsRefusedWithASentence(t *testing.T) {
	for name, test := range map[string]struct {
		make func(path string) error
		want string
	}{
		"directory": {func(path string) error { return os.Mkdir(path, 0o700) }, "is a directory"},
		"Maildir":   {func(path string) error { return os.MkdirAll(path+"/cur", 0o700) }, "is a Maildir"},
		"link":      {func(path string) error { return os.Symlink("other", path) }, "is a symbolic link"},
		"text":      {func(path string) error { return os.WriteFile(path, []byte("Dear diary"), 0o600) }, "is not an mbox"},
		"short":     {func(path string) error { return os.WriteFile(path, []byte("Fr"), 0o600) }, "is not an mbox"},
		"hard link": {func(path string) error {
			return errors.Join(os.WriteFile(path+"2", nil, 0o600), os.Link(path+"2", path))
		}, "more than one name"},
	} {
		m := newMbox(t)
		if err := test.make(m.Path); err != nil {
			t.Fatal(err)
		}
		_, checked := m.Check()
		prepared := errors.Join(m.Prepare(t.Context(), stageAll(t, m, "x"))...)
		for _, err := range []error{m.Open(), checked, prepared} {
			var e *deliver.Error
			if !errors.As(err, &e) || e.Scope != deliver.Place || e.Hint == "" || !strings.Contains(e.Error(), test.want) {
				t.Errorf("%s: %v, want one with %q", name, err, test.want)
			}
		}
		if _, err := os.Lstat(m.Path + lockSuffix); err == nil {
			t.Errorf("%s: a lock is left", name)
		}
	}
}

func TestForeignLockFileIsRespectedAndOwnOneIsRemoved(t *testing.T) {
	m := newMbox(t)
	group := stageAll(t, m, "Subject: 1\r\n\r\n")
	lockPath := m.Path + lockSuffix
	for _, foreign := range []string{"", "1234", "1\npopfetch fedcba9876543210\n"} {
		if err := os.WriteFile(lockPath, []byte(foreign), 0o444); err != nil {
			t.Fatal(err)
		}
		err := errors.Join(m.Prepare(t.Context(), group)...)
		var e *deliver.Error
		if !errors.As(err, &e) || !e.Temporary || !strings.Contains(e.Hint, lockPath) {
			t.Errorf("with a lock of %q: %v", foreign, err)
		}
		if text, err := os.ReadFile(lockPath); err != nil || string(text) != foreign {
			t.Errorf("the lock %q has become %q, %v", foreign, text, err)
		}
		os.Remove(lockPath)
	}
	if err := os.WriteFile(lockPath, []byte("1\npopfetch "+testOwner+"\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Prepare(t.Context(), group)...); err != nil {
		t.Error(err)
	}
	if err := errors.Join(m.Publish(t.Context(), group)...); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(lockPath); err == nil {
		t.Error("the lock is left")
	}
}

// A power cut brings back a lock file whose removal was not durable yet, and no further mail
// may come.
func TestOpenRemovesTheLockOfAnEarlierRunAlone(t *testing.T) {
	m := newMbox(t)
	own, lockPath := m.Path+lockSuffix+"."+testOwner, m.Path+lockSuffix
	for text, stays := range map[string]bool{"1\npopfetch " + testOwner + "\n": false, "1\npopfetch fedcba9876543210\n": true, "1234": true, "": true} {
		for _, path := range []string{own, lockPath} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Open(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(lockPath); (err == nil) != stays {
			t.Errorf("the lock %q: %v", text, err)
		}
		if _, err := os.Stat(own); err == nil {
			t.Errorf("%s is left", own)
		}
	}
}

func TestLocksAreHeldFromPrepareToPublish(t *testing.T) {
	m := newMbox(t)
	other := &Mbox{Path: m.Path, Owner: "fedcba9876543210", Timeout: time.Millisecond}
	group := stageAll(t, m, "Subject: 1\r\n\r\n")
	if err := errors.Join(m.Prepare(t.Context(), group)...); err != nil {
		t.Fatal(err)
	}
	theirs := stageAll(t, other, "Subject: 2\r\n\r\n")
	if err := errors.Join(other.Prepare(t.Context(), theirs)...); !errors.Is(err, errLocked) {
		t.Errorf("a second account: %v", err)
	}
	os.Remove(m.Path + lockSuffix) // the lock of fcntl is still there
	if err := errors.Join(other.Prepare(t.Context(), theirs)...); !errors.Is(err, errLocked) {
		t.Errorf("without the lock file: %v", err)
	}
	if err := errors.Join(m.Publish(t.Context(), group)...); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(other.Prepare(t.Context(), theirs)...); err != nil {
		t.Error(err)
	}
	if err := errors.Join(other.Publish(t.Context(), theirs)...); err != nil {
		t.Error(err)
	}
	if got := read(t, m.Path); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// Python's mailbox module locks the file that it has put in the place of the mbox, and fails
// if anybody else holds a lock of fcntl there.
func TestNoLockIsTriedBesideTheLockFileOfAnotherProgram(t *testing.T) {
	m := newMbox(t)
	group := stageAll(t, m, "Subject: 1\r\n\r\n")
	if err := os.WriteFile(m.Path+lockSuffix, []byte("1234"), 0o444); err != nil {
		t.Fatal(err)
	}
	m.fs = &faultfs.FS{Fail: func(_ int, op string) error {
		if verb, _, _ := strings.Cut(op, " "); verb == "lock" || verb == "link" || verb == "write" {
			t.Errorf("%q was done", op)
		}
		return nil
	}}
	if err := errors.Join(m.Prepare(t.Context(), group)...); !errors.Is(err, errLocked) {
		t.Errorf("got %v", err)
	}
}

// On FAT and over SMB there may be no hard links, over NFS no locks. Nothing is written then.
func TestFileSystemThatCannotLockIsRefused(t *testing.T) {
	for errno, op := range map[syscall.Errno]string{syscall.EPERM: "link ", syscall.EOPNOTSUPP: "link ", syscall.ENOLCK: "lock"} {
		m := newMbox(t)
		m.fs = &faultfs.FS{Fail: func(_ int, done string) error {
			if strings.HasPrefix(done, op) {
				return errno
			}
			return nil
		}}
		err := errors.Join(m.Prepare(t.Context(), stageAll(t, m, "Subject: 1\r\n\r\n"))...)
		var e *deliver.Error
		if !errors.As(err, &e) || e.Scope != deliver.Place || op == "link " && !strings.Contains(err.Error(), "no hard links") {
			t.Errorf("%v: got %v", errno, err)
		}
		if text, err := os.ReadFile(m.Path); err != nil || len(text) > 0 {
			t.Errorf("%v: the file holds %q, %v", errno, text, err)
		}
		if left, _ := filepath.Glob(m.Path + lockSuffix + "*"); len(left) > 0 {
			t.Errorf("%v: left behind: %q", errno, left)
		}
	}
}

// Where nobody may make files, as in the mail spool of a system, only fcntl is left.
func TestDirectoryWithoutPermissionIsLockedByFcntlAlone(t *testing.T) {
	m := newMbox(t)
	if err := os.WriteFile(m.Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.fs = noNewFiles{}
	deliverAll(t, m, "Subject: 1\r\n\r\n")
	if got := read(t, m.Path); len(got) != 1 {
		t.Errorf("%q", got)
	}
}
