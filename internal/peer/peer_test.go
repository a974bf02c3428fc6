package peer

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"popfetch/internal/config"
)

// files are the files that a reader finds, by path.
type files map[string]string

func (f files) at() Files {
	return Files{Home: "/home/me", User: "me", Read: func(path string) ([]byte, error) {
		text, ok := f[path]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return []byte(text), nil
	}, List: func(dir string) (names []string, err error) {
		for path := range f {
			if name, ok := strings.CutPrefix(path, dir+"/"); ok {
				names = append(names, name)
			}
		}
		if names == nil {
			err = fs.ErrInvalid
		}
		return names, err
	}}
}

// destined returns where the only account delivers, and what each remark is about. The file is
// one that Write takes.
func destined(t *testing.T, m *Moved) string {
	t.Helper()
	written(t, m)
	a := m.Config.Accounts[0]
	text := ""
	for _, way := range []struct{ key, place string }{
		{"maildir", a.Maildir}, {"mbox", a.MBox}, {"mda", strings.Join(a.MDA, " ")}, {"lmtp", a.LMTP.String()}, {"smtp", a.SMTP.Server},
	} {
		if way.place != "" {
			text += way.key + " " + way.place
		}
	}
	if len(a.Recipients) > 0 {
		text += " for " + strings.Join(a.Recipients, ", ")
	}
	for _, r := range m.Remarks {
		text += "; " + r.What
	}
	return text
}

type reader func(Files, string, *config.Config) (*Moved, error)

// read reads rc with other files beside it.
func read(t *testing.T, r reader, rc string, others files) (*Moved, error) {
	t.Helper()
	t.Setenv("HOME", "/home/me")
	c, err := config.New()
	if err != nil {
		t.Fatal(err)
	}
	all := files{"/home/me/rc": rc}
	for path, text := range others {
		all[path] = text
	}
	return r(all.at(), "/home/me/rc", c)
}

// written returns the configuration without comments, and checks that Load takes it.
func written(t *testing.T, m *Moved) string {
	t.Helper()
	var b strings.Builder
	if err := m.Config.Write(&b, nil, config.Options{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// remarked checks the remarks, each by parts of its text that stand for it.
func remarked(t *testing.T, m *Moved, want ...string) {
	t.Helper()
	for i, r := range m.Remarks {
		if i >= len(want) || !strings.Contains(r.String(), want[i]) {
			t.Errorf("remark %d: %s", i, r)
		}
	}
	if len(m.Remarks) < len(want) {
		t.Errorf("%d remarks, want %q", len(m.Remarks), want[len(m.Remarks):])
	}
}

func ids(m *Moved, account string) (uids []string) {
	for _, s := range m.Seen {
		if s.Account == account {
			for _, id := range s.IDs {
				uids = append(uids, id.UID)
			}
		}
	}
	return uids
}

// refuses checks the errors for configurations, a part of each of them, and that none repeats
// the beginning of a password, "se".
func refuses(t *testing.T, r reader, wanted map[string]string) {
	t.Helper()
	for rc, want := range wanted {
		if _, err := read(t, r, rc, nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "se\n") {
			t.Errorf("%q: %v", rc, err)
		}
	}
	if _, err := r(files{}.at(), "/none", nil); err == nil || !strings.HasPrefix(err.Error(), "/none: ") {
		t.Error(err)
	}
}

// damage is what a reader makes of a file of unique-ids.
type damage struct {
	remark string // how the only remark begins
	ids    int    // that are carried over
}

// namesDamage checks what a reader makes of texts of the file /ids, which the account work of
// rc names. "-" is no file.
func namesDamage(t *testing.T, r reader, rc string, wanted map[string]damage) {
	t.Helper()
	for text, want := range wanted {
		others := files{"/ids": text}
		if text == "-" {
			others = nil
		}
		m, err := read(t, r, rc, others)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Remarks) != 1 || !strings.HasPrefix(m.Remarks[0].String(), want.remark) || !strings.Contains(m.Remarks[0].String(), "popfetch state seed work") {
			t.Errorf("%q: %v", text, m.Remarks)
		}
		if n := len(ids(m, "work")); n != want.ids {
			t.Errorf("%q: %d ids", text, n)
		}
	}
}

// fuzz reads any configuration and any file beside it: the result can be written, and
// every problem has a place.
func fuzz(t *testing.T, r reader, rc, other string) {
	c, err := config.New()
	if err != nil {
		t.Skip("no home directory")
	}
	m, err := r(Files{Home: "/home/me", List: func(string) ([]string, error) { return nil, fs.ErrInvalid }, Read: func(path string) ([]byte, error) {
		if path == "/home/me/rc" {
			return []byte(rc), nil
		}
		return []byte(other), nil
	}}, "/home/me/rc", c)
	if err != nil {
		if !strings.HasPrefix(err.Error(), "/home/me/rc") {
			t.Error(err)
		}
		return
	}
	names := make(map[string]bool)
	for _, a := range m.Config.Accounts {
		if names[a.Name] || (a.Maildir == "") == (len(a.MDA) == 0) || a.Server == "" || a.User == "" {
			t.Errorf("%+v", a)
		}
		names[a.Name] = true
	}
	for _, s := range m.Seen {
		if !names[s.Account] || len(s.IDs) == 0 || slices.ContainsFunc(s.IDs, func(id ID) bool { return id.UID == "" }) {
			t.Errorf("%+v", s)
		}
	}
	for _, r := range m.Remarks {
		if r.File == "" || r.What == "" || r.Why == "" {
			t.Errorf("%+v", r)
		}
	}
}
