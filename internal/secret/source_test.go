package secret

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"popfetch/internal/config"
)

// write makes a file that may hold secrets and returns its path.
func write(t testing.TB, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	chmod(t, dir, 0o700)
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func chmod(t testing.TB, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestPasswordIsTheFirstLineOfItsFile(t *testing.T) {
	for _, x := range []struct {
		name, text string
		mode       os.FileMode
		want, err  string
	}{
		{"line", "hunter2\n", 0o600, "hunter2", ""}, {"no line end", "hunter2", 0o400, "hunter2", ""},
		{"CRLF and more", "hun ter2 \r\nnotes\n", 0o600, "hun ter2 ", ""},
		{"empty", "", 0o600, "", "the first line is empty"}, {"empty line", "\nhunter2\n", 0o600, "", "the first line is empty"},
		{"NUL", "hunter2\x00\n", 0o600, "", "holds a line end or a NUL"},
		{"byte order mark", "\ufeffhunter2\r\n", 0o600, "hunter2", ""}, {"byte order mark alone", "\ufeff", 0o600, "", "the first line is empty"},
		{"byte order mark inside", "hun\ufeffter2\n", 0o600, "hun\ufeffter2", ""},
		{"UTF-16 of Notepad", "\xff\xfeh\x00u\x00n\x00\r\x00\n\x00", 0o600, "", "the text is UTF-16, not UTF-8 (save it as UTF-8)"},
		{"UTF-16, big end first", "\xfe\xff\x00h\x00u\x00n", 0o600, "", "the text is UTF-16"},
		{"UTF-16 without a mark", "h\x00u\x00n\x00t\x00", 0o600, "", "the text is UTF-16"},
		{"Latin-1", "h\xfcnter2\n", 0o600, "h\xfcnter2", ""}, {"tab", "hun\tter2\n", 0o600, "hun\tter2", ""},
		{"colours of a terminal", "\x1b[1mhunter2\n", 0o600, "", "it holds the control character U+001B"}, {"CR inside", "hun\rter2\n", 0o600, "", "holds a line end or a NUL"},
		{"too long", strings.Repeat("hunter2", 10000), 0o600, "", "longer than 64KiB"},
		{"readable", "hunter2\n", 0o644, "", "the file holds a password and is open to others, mode 0644 (chmod 600 "},
		{"secret of a container", "hunter2\n", 0o444, "", `; for a secret that docker or Kubernetes has mounted, set credential = "pw" and the environment variable CREDENTIALS_DIRECTORY=/`},
		{"file system without modes", "hunter2\n", 0o777, "", "; on a file system without modes, such as FAT, mount it with umask=077"},
	} {
		t.Run(x.name, func(t *testing.T) {
			path := write(t, "pw", x.text)
			chmod(t, path, x.mode)
			s := &Source{File: path}
			got, err := s.Secret(t.Context())
			checkPassword(t, got, err, x.want, x.err)
			if err != nil && !strings.HasPrefix(err.Error(), "password: password_file "+path+": ") {
				t.Errorf("the source is not named: %v", err)
			}
		})
	}
	s := &Source{File: "/no/such/file"}
	if _, err := s.Secret(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func checkPassword(t *testing.T, got string, err error, want, wantErr string) {
	t.Helper()
	var e *Error
	switch {
	case wantErr == "" && (err != nil || got != want):
		t.Errorf("got %q, %v, want %q", got, err, want)
	case wantErr != "" && (!errors.As(err, &e) || !strings.Contains(err.Error(), wantErr) || got != ""):
		t.Errorf("got %q, %v, want %q", got, err, wantErr)
	case err != nil && strings.Contains(err.Error(), "hunter2"):
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestPasswordIsTheFirstLineOfOutput(t *testing.T) {
	for _, x := range []struct {
		name      string
		argv      []string
		want, err string
		temporary bool
	}{
		{"first line", []string{"printf", `hunter2\nuser: me\n`}, "hunter2", "", false},
		{"no shell", []string{"printf", "%s", "$HOME;*"}, "$HOME;*", "", false},
		{"byte order mark", []string{"printf", `\357\273\277hunter2\n`}, "hunter2", "", false},
		{"UTF-16", []string{"printf", `h\000u\000\n\000`}, "", "output: the text is UTF-16", false},
		{"empty", []string{"true"}, "", "output: the first line is empty", false},
		{"empty with complaint", []string{"sh", "-c", "echo oh >&2"}, "", `the first line is empty: "oh"`, false},
		{"status", []string{"sh", "-c", "echo hunter2; printf 'no\\033[1m key' >&2; exit 2"}, "", `password_command sh: exit status 2: "no\x1b[1m key"`, true},
		{"long complaint", []string{"sh", "-c", "yes | head -c 100000 >&2; exit 1"}, "", "exit status 1: \"y\\ny", true},
		{"endless", []string{"yes", "hunter2"}, "", "printed more than 64KiB", false},
		{"not found", []string{"no-such-program-here"}, "", "executable file not found in $PATH (is the program installed, and in the PATH?)", false},
		{"not executable", []string{"/etc/passwd"}, "", "permission denied", false},
		{"stdin is empty", []string{"sh", "-c", "cat; echo hunter2"}, "hunter2", "", false},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := &Source{Command: x.argv}
			got, err := s.Secret(t.Context())
			checkPassword(t, got, err, x.want, x.err)
			var e *Error
			if errors.As(err, &e) && (e.Temporary() != x.temporary || len(e.Error()) > 5*maxStderr) {
				t.Errorf("temporary %v, %d octets: %v", e.Temporary(), len(e.Error()), e)
			}
		})
	}
}

func TestSlowPasswordCommandIsTemporary(t *testing.T) {
	_, err := runCommand(t.Context(), "password_command sleep", []string{"sleep", "60"}, 50*time.Millisecond, nil)
	var e *Error
	if !errors.As(err, &e) || !e.Temporary() || !strings.Contains(err.Error(), "not finished after 50ms") {
		t.Errorf("got %v", err)
	}
}

// The whole process group goes: the grandchild would hold the FIFO open.
func TestPasswordCommandIsKilledWithItsChildren(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := runCommand(ctx, "x", []string{"sh", "-c", `exec 3>"$0"; sleep 60 & echo ready >&3; wait`, fifo}, time.Minute, nil)
		done <- err
	}()
	f, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.ReadFull(f, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := f.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(f); err != nil {
		t.Errorf("the child of the command lives: %v", err)
	}
}

func TestCredentialOfSystemdAndContainers(t *testing.T) {
	dir := filepath.Dir(write(t, "work", "hunter2\n"))
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	chmod(t, filepath.Join(dir, "work"), 0o440)                                                   // as systemd has it, with an access list
	if err := os.WriteFile(filepath.Join(dir, "mounted"), []byte("hunter2"), 0o444); err != nil { // as docker has it
		t.Fatal(err)
	}
	// Kubernetes exchanges all secrets at once, by two links in the directory.
	for name, target := range map[string]string{"pod": "..data/work", "..data": "..2026_11_26"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "..2026_11_26"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "..2026_11_26", "work"), []byte("hunter2"), 0o440); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ dir, name, want, err string }{
		{dir, "work", "hunter2", ""}, {dir, "mounted", "hunter2", ""}, {dir, "pod", "hunter2", ""}, {dir, "none", "", "no such file"}, {dir, "link", "", "escapes"}, {dir, "dir", "", "not a regular file"},
		{"", "work", "", "$CREDENTIALS_DIRECTORY is not set (systemd sets it for a unit with LoadCredential=work:/path)"},
		{dir + "/none", "work", "", "no such file"},
	} {
		t.Setenv("CREDENTIALS_DIRECTORY", x.dir)
		got, err := (&Source{Credential: x.name}).Secret(t.Context())
		checkPassword(t, got, err, x.want, x.err)
	}
}

func TestNetrcIsReadWithoutAnotherSource(t *testing.T) {
	netrc := write(t, ".netrc", "machine pop.example.org login me password hunter2\nmachine bad login me password \"a\nb\"")
	s := &Source{Account: "work", Host: "pop.example.org", User: "me"}
	t.Setenv("NETRC", "")
	t.Setenv("HOME", filepath.Dir(netrc))
	got, err := s.Secret(t.Context())
	checkPassword(t, got, err, "hunter2", "")

	t.Setenv("HOME", "/nowhere")
	_, err = s.Secret(t.Context())
	checkPassword(t, "", err, "", `password: the account names no source, /nowhere/.netrc has no entry for "me" at pop.example.org, and there is no terminal to ask on (set password_command`)

	t.Setenv("NETRC", netrc)
	got, err = s.Secret(t.Context())
	checkPassword(t, got, err, "hunter2", "")
	got, err = (&Source{Host: "bad", User: "me"}).Secret(t.Context())
	checkPassword(t, got, err, "", "holds a line end")

	if err := os.WriteFile(netrc, []byte("\ufeffmachine pop.example.org login me password hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err = s.Secret(t.Context())
	checkPassword(t, got, err, "hunter2", "")

	chmod(t, netrc, 0o644)
	got, err = s.Secret(t.Context())
	checkPassword(t, got, err, "", "netrc "+netrc+": the file holds a password and is open to others")
	got, err = (&Source{Host: "other", User: "me"}).Secret(t.Context())
	checkPassword(t, got, err, "", "no entry") // nothing of it is used, so its mode is not ours
}

func TestPasswordIsNotLookedUpAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&Source{Text: config.NewSecret("x")}).Secret(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A changed file counts at the next login, not only after the old password has
// been refused.
func TestChangedPasswordFileIsReadAgain(t *testing.T) {
	path := write(t, "pw", "old\n")
	s := &Source{File: path}
	for _, want := range []string{"old", "new"} {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Secret(t.Context()); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

// A command may ask for a passphrase: it runs once, and again when its password
// was refused or may be why the login failed.
func TestPasswordCommandRunsAgainAfterRefusal(t *testing.T) {
	runs := write(t, "runs", "")
	s := &Source{Command: []string{"sh", "-c", `echo x >>"$0"; wc -l <"$0"`, runs}}
	for i, x := range []struct {
		after func()
		want  string
	}{{func() {}, "1"}, {func() {}, "1"}, {s.Refused, "2"}, {s.Doubtful, "3"}, {func() {}, "3"}} {
		x.after()
		if got, err := s.Secret(t.Context()); strings.TrimSpace(got) != x.want || err != nil {
			t.Errorf("call %d: run %q, %v, want %q", i+1, got, err, x.want)
		}
	}
}

func TestFailedPasswordCommandIsNotRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "later")
	s := &Source{Command: []string{"cat", path}}
	if got, err := s.Secret(t.Context()); err == nil {
		t.Errorf("got %q", got)
	}
	if err := os.WriteFile(path, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Secret(t.Context()); got != "hunter2" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSourceIsNamedWithoutThePassword(t *testing.T) {
	for want, a := range map[string]config.Login{
		"password":              {PasswordText: config.NewSecret("hunter2")},
		"password_file /x":      {PasswordFile: "/x"},
		"password_command pass": {PasswordCommand: []string{"pass", "hunter2"}},
		"credential c":          {Credential: "c"},
		"netrc":                 {},
	} {
		a.Host, a.User = "pop.example.org", "me"
		s := Of("work", &a, nil)
		if s.String() != want || s.Account != "work" || s.Host != "pop.example.org" || s.User != "me" {
			t.Errorf("got %s for %s at %s of %s, want %s", s, s.User, s.Host, s.Account, want)
		}
	}
}
