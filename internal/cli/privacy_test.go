//go:build linux

package cli_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFilesArePrivateWhateverTheUmask(t *testing.T) {
	t.Parallel()
	for _, mask := range []string{"000", "022", "077", "0777"} {
		s := clearServer(t, small(3)...)
		r := newUserHome(t, account("work", s, ""))
		r.exits(0, "umask "+mask+"; exec popfetch --once")
		r.exits(0, "umask "+mask+"; exec popfetch state compact")
		r.exits(0, "umask "+mask+"; exec popfetch state restore --force")
		files := 0
		err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == r.dir || strings.HasPrefix(path, filepath.Join(r.dir, ".config")) {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			want := fs.FileMode(0o600)
			if d.IsDir() {
				want = fs.ModeDir | 0o700
			} else {
				files++
			}
			if info.Mode() != want {
				t.Errorf("umask %s: %s has mode %v, want %v", mask, path, info.Mode(), want)
			}
			return nil
		})
		if err != nil || files < 6 { // messages, state, lock, snapshot
			t.Errorf("umask %s: %d files, %v", mask, files, err)
		}
	}
}

// Other users can see the arguments of a process, and its children its environment:
// neither holds the password, whatever its source.
func TestPasswordIsHiddenFromOtherProcesses(t *testing.T) {
	t.Parallel()
	const mda = `mda = ["sh", "-c", "cat /proc/$PPID/cmdline /proc/$PPID/environ /proc/self/environ >>$HOME/seen; ls -l /proc/self/fd >>$HOME/seen; cat >/dev/null"]` + "\n"
	for name, source := range map[string]string{
		"password":         fmt.Sprintf("password = %q\n", secret),
		"password_file":    "password_file = \"~/secret\"\n",
		"password_command": "password_command = [\"cat\", \"secret\"]\n",
		"netrc":            "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := clearServer(t, small(1)...)
			r := newUserHome(t, fmt.Sprintf("on_new_mail = [\"sh\", \"-c\", \"cat /proc/self/environ /proc/$PPID/environ >>$HOME/seen\"]\n[account.work]\nserver = %q\nuser = \"alice\"\ntls = \"none\"\n%s%s",
				s.Addr(), source, mda))
			netrc := fmt.Sprintf("machine 127.0.0.1 login alice password %q\n", secret)
			err := errors.Join(os.WriteFile(filepath.Join(r.dir, "secret"), []byte(secret), 0o600), os.WriteFile(filepath.Join(r.dir, ".netrc"), []byte(netrc), 0o600))
			if err != nil {
				t.Fatal(err)
			}
			r.exits(0, "exec popfetch --once -v")
			seen, err := os.ReadFile(filepath.Join(r.dir, "seen"))
			if err != nil || !strings.Contains(string(seen), "popfetch\x00--once") || !strings.Contains(string(seen), "POPFETCH_DELIVERED=1") {
				t.Fatalf("%q, %v", seen, err)
			}
			for _, s := range []string{secret, "state.db", ".netrc"} {
				if strings.Contains(string(seen), s) {
					t.Errorf("%q is in %q", s, seen)
				}
			}
		})
	}
}

// A password_file that holds no password is an error that shows nothing of its
// content, and never a wait.
func TestPasswordFileWithoutAPasswordIsRefusedUnseen(t *testing.T) {
	t.Parallel()
	s := clearServer(t)
	r := newUserHome(t, strings.Replace(account("work", s, `password_file = "~/secret"`), fmt.Sprintf("password = %q\n", secret), "", 1))
	file := filepath.Join(r.dir, "secret")
	text := func(s string) func() error { return func() error { return os.WriteFile(file, []byte(s), 0o600) } }
	changed := time.Now()
	for name, put := range map[string]func() error{
		"missing":        func() error { return nil },
		"a directory":    func() error { return os.Mkdir(file, 0o700) },
		"a FIFO":         func() error { return syscall.Mkfifo(file, 0o600) },
		"a device":       func() error { return os.Symlink("/dev/zero", file) },
		"empty":          text(""),
		"an empty line":  text("\r\nhunter2\n"),
		"a megabyte":     text(strings.Repeat("hunter2 ", 1<<17)),
		"a CR within it": text("hunter2\rQUIT\n"),
		"a NUL":          text("hunter2\x00\n"),
	} {
		if err := errors.Join(os.RemoveAll(file), put()); err != nil {
			t.Fatal(err)
		}
		changed = changed.Add(time.Second) // so each error is news
		if err := os.Chtimes(filepath.Join(r.dir, ".config/popfetch/config.toml"), changed, changed); err != nil {
			t.Fatal(err)
		}
		e := r.exits(78, "exec popfetch --once")
		if strings.Contains(e.stderr, "hunter2") || !strings.HasPrefix(e.stderr, "popfetch: work: password: password_file "+file+": ") {
			t.Errorf("%s: it says %q", name, e.stderr)
		}
	}
	for _, good := range []string{secret, secret + "\n", secret + "\r\n", secret + "\nnotes\n"} {
		// Whatever the last row of the map above has left in its place.
		if err := errors.Join(os.RemoveAll(file), os.WriteFile(file, []byte(good), 0o600)); err != nil {
			t.Fatal(err)
		}
		r.exits(0, "exec popfetch --once")
	}
}
