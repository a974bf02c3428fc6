package config

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// quiet returns an asker without a terminal.
func quiet(t *testing.T) *asker {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	k := newAsker()
	k.in = null
	return k
}

func TestSecretIsNeverShown(t *testing.T) {
	c := mustLoad(t, account(`password = "hunter2"`))
	a := c.Accounts[0]
	hidden := struct{ inner Secret }{a.PasswordText}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "secret", a.PasswordText, "account", a, "copy", *a)
	}
	js, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var show bytes.Buffer
	if err := c.Show(&show); err != nil {
		t.Fatal(err)
	}
	shown := []string{log.String(), string(js), show.String(), a.PasswordSource()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, a.PasswordText), fmt.Sprintf(verb, a), fmt.Sprintf(verb, *a), fmt.Sprintf(verb, hidden))
	}
	for _, s := range shown {
		if strings.Contains(s, "hunter2") || strings.Contains(s, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("shown: %s", s)
		}
	}
	if p, err := a.Password(t.Context()); p != "hunter2" || err != nil {
		t.Errorf("got %q, %v", p, err)
	}
}

func TestPasswordFile(t *testing.T) {
	for _, x := range []struct {
		name, text string
		mode       os.FileMode
		want, err  string
	}{
		{"line", "hunter2\n", 0o600, "hunter2", ""}, {"no line end", "hunter2", 0o400, "hunter2", ""},
		{"CRLF and more", "hun ter2 \r\nnotes\n", 0o600, "hun ter2 ", ""},
		{"empty", "", 0o600, "", "the first line is empty"}, {"empty line", "\nhunter2\n", 0o600, "", "the first line is empty"},
		{"NUL", "hunter2\x00\n", 0o600, "", "holds a line end or a NUL"}, {"CR inside", "hun\rter2\n", 0o600, "", "holds a line end or a NUL"},
		{"too long", strings.Repeat("hunter2", 10000), 0o600, "", "longer than 64KiB"},
		{"readable", "hunter2\n", 0o644, "", "the file holds a password and is open to others, mode 0644 (chmod 600 "},
	} {
		t.Run(x.name, func(t *testing.T) {
			path := write(t, "pw", x.text)
			chmod(t, path, x.mode)
			a := &Account{PasswordFile: path, ask: quiet(t)}
			got, err := a.Password(t.Context())
			checkPassword(t, got, err, x.want, x.err)
			if err != nil && !strings.HasPrefix(err.Error(), "password: password_file "+path+": ") {
				t.Errorf("the source is not named: %v", err)
			}
		})
	}
	a := &Account{PasswordFile: "/no/such/file", ask: quiet(t)}
	if _, err := a.Password(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func checkPassword(t *testing.T, got string, err error, want, wantErr string) {
	t.Helper()
	var e *SecretError
	switch {
	case wantErr == "" && (err != nil || got != want):
		t.Errorf("got %q, %v, want %q", got, err, want)
	case wantErr != "" && (!errors.As(err, &e) || !strings.Contains(err.Error(), wantErr) || got != ""):
		t.Errorf("got %q, %v, want %q", got, err, wantErr)
	case err != nil && strings.Contains(err.Error(), "hunter2"):
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestPasswordCommand(t *testing.T) {
	for _, x := range []struct {
		name      string
		argv      []string
		want, err string
		temporary bool
	}{
		{"first line", []string{"printf", `hunter2\nuser: me\n`}, "hunter2", "", false},
		{"no shell", []string{"printf", "%s", "$HOME;*"}, "$HOME;*", "", false},
		{"empty", []string{"true"}, "", "output: the first line is empty", false},
		{"empty with complaint", []string{"sh", "-c", "echo oh >&2"}, "", `the first line is empty: "oh"`, false},
		{"status", []string{"sh", "-c", "echo hunter2; printf 'no\\033[1m key' >&2; exit 2"}, "", `password_command sh: exit status 2: "no\x1b[1m key"`, true},
		{"long complaint", []string{"sh", "-c", "yes | head -c 100000 >&2; exit 1"}, "", "exit status 1: \"y\\ny", true},
		{"endless", []string{"yes", "hunter2"}, "", "printed more than 64KiB", false},
		{"not found", []string{"no-such-program-here"}, "", "executable file not found in $PATH", false},
		{"not executable", []string{"/etc/passwd"}, "", "permission denied", false},
		{"stdin is empty", []string{"sh", "-c", "cat; echo hunter2"}, "hunter2", "", false},
	} {
		t.Run(x.name, func(t *testing.T) {
			a := &Account{PasswordCommand: x.argv, ask: quiet(t)}
			got, err := a.Password(t.Context())
			checkPassword(t, got, err, x.want, x.err)
			var e *SecretError
			if errors.As(err, &e) && (e.Temporary() != x.temporary || len(e.Error()) > 5*maxComplaint) {
				t.Errorf("temporary %v, %d octets: %v", e.Temporary(), len(e.Error()), e)
			}
		})
	}
}

func TestPasswordCommandTakesTooLong(t *testing.T) {
	_, err := runCommand(t.Context(), "password_command sleep", []string{"sleep", "60"}, 50*time.Millisecond, nil)
	var e *SecretError
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

func TestCredential(t *testing.T) {
	dir := filepath.Dir(write(t, "work", "hunter2\n"))
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	chmod(t, filepath.Join(dir, "work"), 0o440) // as systemd has it, with an access list
	for _, x := range []struct{ dir, name, want, err string }{
		{dir, "work", "hunter2", ""}, {dir, "none", "", "no such file"}, {dir, "link", "", "escapes"}, {dir, "dir", "", "not a regular file"},
		{"", "work", "", "$CREDENTIALS_DIRECTORY is not set (systemd sets it for a unit with LoadCredential=work:/path)"},
		{dir + "/none", "work", "", "no such file"},
	} {
		t.Setenv("CREDENTIALS_DIRECTORY", x.dir)
		got, err := (&Account{Credential: x.name, ask: quiet(t)}).Password(t.Context())
		checkPassword(t, got, err, x.want, x.err)
	}
}

func TestPasswordFromNetrc(t *testing.T) {
	netrc := write(t, ".netrc", "machine pop.example.org login me password hunter2\nmachine bad login me password \"a\nb\"")
	a := &Account{Name: "work", Host: "pop.example.org", User: "me", ask: quiet(t)}
	t.Setenv("NETRC", "")
	t.Setenv("HOME", filepath.Dir(netrc))
	got, err := a.Password(t.Context())
	checkPassword(t, got, err, "hunter2", "")

	t.Setenv("HOME", "/nowhere")
	_, err = a.Password(t.Context())
	checkPassword(t, "", err, "", `password: the account names no source, /nowhere/.netrc has no entry for "me" at pop.example.org, and there is no terminal to ask on (set password_command`)

	t.Setenv("NETRC", netrc)
	got, err = a.Password(t.Context())
	checkPassword(t, got, err, "hunter2", "")
	got, err = (&Account{Host: "bad", User: "me", ask: quiet(t)}).Password(t.Context())
	checkPassword(t, got, err, "", "holds a line end")

	chmod(t, netrc, 0o644)
	got, err = a.Password(t.Context())
	checkPassword(t, got, err, "", "netrc "+netrc+": the file holds a password and is open to others")
	got, err = (&Account{Host: "other", User: "me", ask: quiet(t)}).Password(t.Context())
	checkPassword(t, got, err, "", "no entry") // nothing of it is used, so its mode is not ours
}

func TestNetrc(t *testing.T) {
	for name, x := range map[string]struct{ text, want string }{
		"lines":                  {"machine h\n login u\n password p\n", "p"},
		"host in another case":   {"machine H login u password p", "p"},
		"other host first":       {"machine x login u password q machine h login u password p", "p"},
		"other user first":       {"machine h login v password q\nmachine h login u password p", "p"},
		"user is exact":          {"machine h login U password q", ""},
		"no login":               {"machine h password p", "p"},
		"default":                {"default login u password p", "p"},
		"default after machines": {"default password q\nmachine h login u password p", "p"},
		"quotes":                 {`machine h login "u" password "a \"b\\ #c"`, `a "b\ #c`},
		"comments":               {"# machine h login u password q\nmachine h # password r\nlogin u password #p", "#p"},
		"macro":                  {"macdef init\nmachine h login u password q\n\nmachine h login u password p", "p"},
		"account":                {"machine h account password login u password p", "p"},
		"port is not known":      {"machine h port 995 login u password p", "p"},
		"key words as values":    {"machine h login u password machine", "machine"},
		"no password":            {"machine h login u", ""},
		"cut":                    {"machine h login u password", ""},
		"cut before the name":    {"login u password p machine", ""},
		"empty name":             {`machine "" login u password p`, ""},
		"open quote":             {`machine h login u password "p`, "p"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := searchNetrc(x.text, "h", "u"); got != x.want {
				t.Errorf("got %q, want %q", got, x.want)
			}
		})
	}
}

func TestPasswordAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&Account{PasswordText: NewSecret("x")}).Password(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
