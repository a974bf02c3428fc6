package config

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestConfigWithPasswordMustBePrivate(t *testing.T) {
	with := account(`password = "hunter2"`)
	for _, x := range []struct {
		name      string
		text      string
		mode, dir os.FileMode
		want      string // "" = accepted
	}{
		{"private", with, 0o600, 0o755, ""},
		{"read-only", with, 0o400, 0o700, ""},
		{"group may read", with, 0o640, 0o700, "the file holds a password and is open to others, mode 0640 (chmod 600 "},
		{"others may read", with, 0o604, 0o700, "mode 0604"},
		{"others may write", with, 0o602, 0o700, "mode 0602"},
		{"mounted by a container platform", with, 0o444, 0o700, "mode 0444 (chmod 600 "},
		{"where to put the password then", with, 0o444, 0o700, "; or keep the password elsewhere: password_file, password_command or credential)"},
		{"file system without modes", with, 0o777, 0o700, "; on a file system without modes, such as FAT, mount it with umask=077 or keep the file elsewhere)"},
		{"everybody's directory", with, 0o600, 0o777, "everybody may write to (chmod o-w "},
		{"everybody's directory with the sticky bit", with, 0o600, 0o777 | os.ModeSticky, ""},
		{"no password", account(""), 0o644, 0o777, ""},
		{"password by default", "[defaults]\npassword = \"hunter2\"\n" + account(""), 0o644, 0o700, "mode 0644"},
	} {
		t.Run(x.name, func(t *testing.T) {
			path := write(t, "config.toml", x.text)
			chmod(t, path, x.mode)
			chmod(t, filepath.Dir(path), x.dir)
			_, err := Load(path, Options{})
			switch {
			case x.want == "" && err != nil:
				t.Error(err)
			case x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)):
				t.Errorf("got %v, want %q", err, x.want)
			case x.want != "" && !strings.Contains(err.Error(), `key "password": `):
				t.Errorf("the key is not named: %v", err)
			}
		})
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// The directory that counts is that of the file, not only that of a link to it.
func TestConfigBehindALinkIntoAnUnsafeDirectory(t *testing.T) {
	target := write(t, "real.toml", account(`password = "hunter2"`))
	chmod(t, filepath.Dir(target), 0o777)
	link := filepath.Join(filepath.Dir(write(t, "x", "")), "config.toml")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(link, Options{}); err == nil || !strings.Contains(err.Error(), filepath.Dir(target)) {
		t.Errorf("got %v", err)
	}
}

func TestConfigThatIsNotARegularFile(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString(account(`password = "hunter2"`)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := Load("/dev/fd/"+itoa(r.Fd()), Options{}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("pipe: %v", err)
	}
	if _, err := Load(t.TempDir(), Options{}); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("directory: %v", err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(fifo, Options{}); err == nil { // nobody writes: it is empty, and the open does not wait
		t.Error("fifo: loaded")
	}
}

func itoa(fd uintptr) string { return strconv.Itoa(int(fd)) }

func TestFileAboveTheLimitIsRefused(t *testing.T) {
	path := write(t, "x", strings.Repeat("x", 1025))
	if _, _, err := ReadFile(path, 1024); err == nil || !strings.Contains(err.Error(), "longer than 1KiB") {
		t.Errorf("got %v", err)
	}
	if data, _, err := ReadFile(path, 1025); err != nil || len(data) != 1025 {
		t.Errorf("got %d octets, %v", len(data), err)
	}
}

func TestFileOfAnotherUserIsNotTrusted(t *testing.T) {
	for _, x := range []struct {
		owner, uid int
		want       bool
	}{{1000, 1000, true}, {0, 1000, true}, {1001, 1000, false}, {1000, 0, false}, {0, 0, true}} {
		if got := trusted(x.owner, x.uid); got != x.want {
			t.Errorf("owner %d, user %d: %v", x.owner, x.uid, got)
		}
	}
}
