//go:build linux

package cli_test

import (
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/state"
)

const alice, bob, carol = "alice@example.org", "bob@example.org", "carol@example.org"

func testMaildir(t *testing.T, bin executable) {
	const n = 1000
	d := startDovecot(t, true)
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	if held.count() != n {
		t.Fatalf("the server holds %d messages", held.count())
	}
	for _, x := range []struct {
		umask, received string
		stamp           *regexp.Regexp
	}{
		{"000", "true", stampOf("POP3S")},
		{"077", "false", nil},
	} {
		t.Run("umask "+x.umask, func(t *testing.T) {
			h := newHome(t, bin)
			h.umask = x.umask
			h.configure(t, d.account("work", alice, "implicit", "received = "+x.received))
			h.silently(t)
			sameMail(t, "first run", inMaildir(t, h.maildir("work"), x.stamp), held)
			checkFiles(t, h)
			before := entries(t, filepath.Join(h.maildir("work"), "new"))
			h.silently(t)
			if after := entries(t, filepath.Join(h.maildir("work"), "new")); !slices.Equal(before, after) {
				t.Errorf("the second run has changed new/: %d files, then %d", len(before), len(after))
			}
		})
	}
	sameMail(t, "the server afterwards", d.holds(t, alice), held)
}

var sizeInName = regexp.MustCompile(`,S=(\d+)$`)

// checkFiles checks modes, and that the size in the name of a message is right.
func checkFiles(t *testing.T, h *home) {
	t.Helper()
	checkModes(t, filepath.Join(h.dir, "Mail"))
	checkModes(t, filepath.Join(h.dir, "state"))
	list, err := os.ReadDir(filepath.Join(h.maildir("work"), "new"))
	must(t, err)
	for _, e := range list {
		info, err := e.Info()
		must(t, err)
		m := sizeInName.FindStringSubmatch(e.Name())
		if m == nil || m[1] != fmt.Sprint(info.Size()) {
			t.Fatalf("%s has %d octets", e.Name(), info.Size())
		}
	}
}

// checkModes checks that everything below root is for its owner alone.
func checkModes(t *testing.T, root string) {
	t.Helper()
	must(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = fs.ModeDir | 0o700
		}
		if info.Mode() != want {
			return fmt.Errorf("%s: mode %v, want %v", path, info.Mode(), want)
		}
		return nil
	}))
}

func testConnections(t *testing.T, bin executable) {
	const n = 30
	d := startDovecot(t, true)
	for _, x := range []struct{ tls, keep, protocol string }{
		{"implicit", "true", "POP3S"},
		{"implicit", "false", "POP3S"},
		{"starttls", "true", "POP3S"},
		{"starttls", "false", "POP3S"},
		{"none", "true", "POP3"},
		{"none", "false", "POP3"},
	} {
		t.Run(x.tls+" keep "+x.keep, func(t *testing.T) {
			user := x.tls + "-" + x.keep + "@example.org"
			d.fill(t, user, n)
			held := d.holds(t, user)
			h := newHome(t, bin)
			h.configure(t, d.account("work", user, x.tls, "keep = "+x.keep))

			// --keep wins over the configuration, and what it has left is
			// deleted by the next run without being fetched again.
			h.silently(t, "--keep")
			sameMail(t, "the server after --keep", d.holds(t, user), held)
			sameMail(t, "first run", inMaildir(t, h.maildir("work"), stampOf(x.protocol)), held)
			h.silently(t)
			sameMail(t, "second run", inMaildir(t, h.maildir("work"), stampOf(x.protocol)), held)
			left := held
			if x.keep == "false" {
				left = nil
			}
			sameMail(t, "the server afterwards", d.holds(t, user), left)
		})
	}
}

// testKeepFor sets back the recorded time of some deliveries instead of waiting for
// days.
func testKeepFor(t *testing.T, bin executable) {
	const n, old = 20, 7
	d := startDovecot(t, true)
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	h := newHome(t, bin)
	h.configure(t, d.account("work", alice, "implicit", `keep = "14d"`))
	h.silently(t)
	h.silently(t)
	sameMail(t, "the server after two runs", d.holds(t, alice), held)

	age(t, h, alice, old, 14*24*time.Hour+time.Minute)
	h.silently(t)
	left := d.holds(t, alice)
	if left.count() != n-old {
		t.Errorf("the server has %d messages left, want %d", left.count(), n-old)
	}
	for text := range left {
		if held[text] == 0 {
			t.Errorf("%s has changed", messageID(text))
		}
	}
	sameMail(t, "all runs", inMaildir(t, h.maildir("work"), stampOf("POP3S")), held)

	age(t, h, alice, n, 13*24*time.Hour)
	h.silently(t)
	sameMail(t, "the server a day too early", d.holds(t, alice), left)
}

// age sets back the deliveries of the first n ids by d, and fails if there are fewer.
func age(t *testing.T, h *home, user string, n int, d time.Duration) {
	t.Helper()
	store, err := state.File{Path: h.state()}.Open()
	must(t, err)
	defer store.Close()
	drop := store.Maildrop(state.Key(user, "127.0.0.1"))
	var change state.Change
	must(t, drop.Scan(func(known iter.Seq2[[]byte, state.Record]) error {
		for id, r := range known {
			if len(change.Put) < n {
				r.Observed -= d
				change.Put = append(change.Put, state.Entry{ID: string(id), Record: r})
			}
		}
		return nil
	}))
	if len(change.Put) != n {
		t.Fatalf("the state file knows %d ids, want %d", len(change.Put), n)
	}
	must(t, drop.Commit(change))
}

func testThreeAccounts(t *testing.T, bin executable) {
	const n = 300
	d := startDovecot(t, true)
	held := make(map[string]mailbag)
	for _, user := range []string{alice, bob, carol} {
		d.fill(t, user, n)
		held[user] = d.holds(t, user)
	}
	h := newHome(t, bin)
	out := newMaildir(t, h, "programs")
	mda := writeScript(t, h, `cat > "$1/tmp/$POPFETCH_ID" && mv -n "$1/tmp/$POPFETCH_ID" "$1/new/$POPFETCH_ID.$$"`)
	h.configure(t,
		d.account("a", alice, "implicit"),
		d.account("b", bob, "starttls", "keep = false"),
		d.account("c", carol, "implicit", fmt.Sprintf("mda = [%q, %q]", mda, out)))
	for _, run := range []string{"first run", "second run"} {
		h.silently(t)
		sameMail(t, run+", a", inMaildir(t, h.maildir("a"), stampOf("POP3S")), held[alice])
		sameMail(t, run+", b", inMaildir(t, h.maildir("b"), stampOf("POP3S")), held[bob])
		sameMail(t, run+", c", inMaildir(t, out, stampOf("POP3S")), held[carol])
	}
	sameMail(t, "alice's maildrop", d.holds(t, alice), held[alice])
	sameMail(t, "bob's maildrop", d.holds(t, bob), nil)
	sameMail(t, "carol's maildrop", d.holds(t, carol), held[carol])
}

func testManyAccounts(t *testing.T, bin executable) {
	const accounts, n = 200, 10
	d := startDovecot(t, true)
	h := newHome(t, bin)
	var config []string
	users := make(map[string]string)
	for i := range accounts {
		account := fmt.Sprintf("a%d", i)
		users[account] = fmt.Sprintf("user%d@example.org", i)
		d.fill(t, users[account], n)
		config = append(config, d.account(account, users[account], "implicit", "received = false"))
	}
	h.configure(t, config...)
	r := h.once(t, 0, "--json")
	if lines := strings.Count(r.stdout, "\n"); lines != accounts || r.stderr != "" {
		t.Errorf("%d lines of JSON, and\n%s", lines, r.stderr)
	}
	h.silently(t)
	for _, account := range slices.Sorted(maps.Keys(users)) {
		sameMail(t, account, inMaildir(t, h.maildir(account), nil), asStored(users[account], n))
	}
}

// asStored is what fill has put into a maildrop, as it has to be delivered.
func asStored(user string, n int) mailbag {
	bag := make(mailbag)
	for i := range n {
		text := strings.ReplaceAll(string(compose(user, i)), "\r\n", "\n")
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		bag[text]++
	}
	return bag
}
