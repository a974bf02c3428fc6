//go:build linux

package cli_test

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"popfetch/state"
)

// testRestoredServer brings back a maildrop from a copy that lacks the last mail. The
// messages that come afterwards get the unique-ids of those that were lost.
func testRestoredServer(t *testing.T, bin executable) {
	for _, x := range []struct {
		size string
		new  []int // messages in place of 6, 7 and 8
	}{
		{"same size", []int{106, 107, 108}},
		{"another size", []int{1060, 1070, 1080}},
	} {
		for _, keep := range []string{"true", "false", `"14d"`} {
			t.Run(x.size+" keep "+keep, func(t *testing.T) {
				r := startRestored(t, bin, keep)
				r.deliver(t, 1, 2, 3, 4, 5)
				backup := r.backup(t)
				r.poll(t)
				r.deliver(t, 6, 7, 8)
				lost := r.ids(t)
				r.poll(t)
				must(t, r.Restore(backup))
				r.deliver(t, x.new...)
				if ids := r.ids(t); len(ids) != 8 || !slices.Equal(ids[5:], lost[len(lost)-3:]) {
					t.Fatalf("the unique-ids of the lost mail were %q, those of the new mail are %q", lost, ids)
				}
				r.dayLater(t)
				r.complete(t, append(x.new, 1, 2, 3, 4, 5, 6, 7, 8)...)
				r.untilDue(t)
			})
		}
	}
}

// testRestoredWithNewIDs brings back a maildrop whose UIDVALIDITY is another one, so that
// every message has a new unique-id.
func testRestoredWithNewIDs(t *testing.T, bin executable) {
	for _, keep := range []string{"true", "false", `"14d"`} {
		t.Run("keep "+keep, func(t *testing.T) {
			r := startRestored(t, bin, keep)
			r.deliver(t, 1, 2, 3, 4, 5)
			backup := r.backup(t)
			before := r.ids(t)
			r.config(t, "true")
			r.poll(t)
			r.config(t, keep)
			must(t, r.Restore(backup))
			r.Stop()
			r.changeUIDValidity(t)
			must(t, r.Restart())
			r.deliver(t, 6)
			for _, id := range r.ids(t) {
				if slices.Contains(before, id) {
					t.Fatalf("the unique-id %s has stayed", id)
				}
			}
			r.poll(t)
			r.complete(t, 1, 2, 3, 4, 5, 6)
			r.untilDue(t)
		})
	}
}

// testMovedAndBack moves mail to another folder, and back when polls have missed it.
func testMovedAndBack(t *testing.T, bin executable) {
	for _, x := range []struct {
		keep         string
		days, listed int // afterwards
	}{{"true", 2, 6}, {"true", 20, 6}, {`"14d"`, 2, 6}, {`"14d"`, 20, 3}} {
		t.Run(fmt.Sprintf("keep %s, %d days later", x.keep, x.days), func(t *testing.T) {
			r := startRestored(t, bin, x.keep)
			r.deliver(t, 1, 2, 3, 4)
			r.poll(t)
			inbox, folder := filepath.Join(r.Mail, alice), filepath.Join(r.Mail, alice, ".Archive")
			for _, dir := range []string{folder, filepath.Join(folder, "cur"), filepath.Join(folder, "new"), filepath.Join(folder, "tmp")} {
				must(t, os.Mkdir(dir, 0o700))
				must(t, r.Own(dir))
			}
			moved := entries(t, filepath.Join(inbox, "cur"))[:2]
			for _, name := range moved {
				must(t, os.Rename(filepath.Join(inbox, "cur", name), filepath.Join(folder, "cur", name)))
			}
			r.deliver(t, 5)
			for range x.days {
				r.dayLater(t)
			}
			for _, name := range moved {
				must(t, os.Rename(filepath.Join(folder, "cur", name), filepath.Join(inbox, "cur", name)))
			}
			r.deliver(t, 6)
			if n := len(r.ids(t)); n != x.listed {
				t.Fatalf("the server lists %d messages", n)
			}
			r.dayLater(t)
			r.complete(t, 1, 2, 3, 4, 5, 6)
			r.untilDue(t)
		})
	}
}

// restored is a Dovecot and an account of alice that fetches from it.
type restored struct {
	*dovecot
	*home
	keep  string
	ever  mailbag // all messages so far, whether the server has them or not
	named int     // names of files so far
}

func startRestored(t *testing.T, bin executable, keep string) *restored {
	r := &restored{dovecot: startDovecot(t, false), home: newHome(t, bin), ever: make(mailbag)}
	_, err := r.AddUser(alice)
	must(t, err)
	r.config(t, keep)
	return r
}

func (r *restored) config(t *testing.T, keep string) {
	t.Helper()
	r.keep = keep
	r.configure(t, r.account("work", alice, "none", "received = false", "keep = "+keep))
}

// deliver puts new messages into the maildrop. Messages whose numbers have one or three
// digits are of the same size.
func (r *restored) deliver(t *testing.T, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		text := fmt.Sprintf("Date: Mon, 13 Jul 2026 10:00:00 +0200\nFrom: sender@example.net\nSubject: %3d\nMessage-ID: <%03d@example.net>\n\nThis is %3d.\n", n, n, n)
		r.named++
		must(t, r.Deliver(alice, fmt.Sprintf("%d.M1P1.server", 1700000000+r.named), []byte(text)))
		r.ever[text]++
	}
}

// ids returns the unique-ids that the server lists.
func (r *restored) ids(t *testing.T) []string {
	t.Helper()
	cmd := r.command("list", "--json")
	out, err := cmd.Output()
	must(t, err)
	var ids []string
	for _, m := range regexp.MustCompile(`"uid":"([^"]+)"`).FindAllStringSubmatch(string(out), -1) {
		ids = append(ids, m[1])
	}
	return ids
}

// backup copies the mail, with the unique-ids that the server has given it.
func (r *restored) backup(t *testing.T) string {
	t.Helper()
	r.ids(t)
	r.Stop()
	dir := filepath.Join(t.TempDir(), "backup")
	must(t, r.Backup(dir))
	must(t, r.Restart())
	return dir
}

// changeUIDValidity gives all messages new unique-ids, as a Dovecot does that has lost its
// lists of them.
func (r *restored) changeUIDValidity(t *testing.T) {
	t.Helper()
	dir := filepath.Join(r.Mail, alice)
	indexes, err := filepath.Glob(filepath.Join(dir, "dovecot.*"))
	must(t, err)
	for _, index := range indexes {
		must(t, os.Remove(index))
	}
	list := filepath.Join(dir, "dovecot-uidlist")
	text, err := os.ReadFile(list)
	must(t, err)
	header := regexp.MustCompile(`(?m)^(3 V)\d+`)
	if !header.Match(text) {
		t.Fatalf("the list of unique-ids is\n%s", text)
	}
	must(t, os.WriteFile(list, header.ReplaceAll(text, []byte("${1}1500000000")), 0o600))
}

// poll runs popfetch once, and checks that nothing has gone from the server that was not
// delivered.
func (r *restored) poll(t *testing.T) {
	t.Helper()
	before := r.holds(t, alice)
	r.once(t, 0)
	after, have := r.holds(t, alice), r.delivered(t)
	for text, n := range before {
		if after[text] < n && have[text] == 0 {
			t.Errorf("%s was deleted and never delivered", messageID(text))
		}
	}
}

func (r *restored) delivered(t *testing.T) mailbag {
	t.Helper()
	return inMaildir(t, r.maildir("work"), nil)
}

// complete checks that every message so far was delivered, once. numbers are these
// messages.
func (r *restored) complete(t *testing.T, numbers ...int) {
	t.Helper()
	if len(r.ever) != len(numbers) {
		t.Fatalf("there were %d messages, not %d", len(r.ever), len(numbers))
	}
	sameMail(t, "the Maildir", r.delivered(t), r.ever)
}

// dayLater sets back all recorded times by a day, instead of waiting for one, and polls.
func (r *restored) dayLater(t *testing.T) {
	t.Helper()
	setBack(t, r.state(), alice, 24*time.Hour+time.Minute)
	r.poll(t)
}

// untilDue polls on some days, with keep = "14d" until everything must be deleted, and
// checks what is left on the server, and that the Maildir stays as it is.
func (r *restored) untilDue(t *testing.T) {
	t.Helper()
	held := r.holds(t, alice)
	days := 3
	if r.keep == `"14d"` {
		days = 16
	}
	for day := range days {
		r.dayLater(t)
		if left := r.holds(t, alice); day < 10 && r.keep == `"14d"` && left.count() != held.count() {
			t.Fatalf("%d of %d messages are left on day %d", left.count(), held.count(), day)
		}
	}
	sameMail(t, "the Maildir in the end", r.delivered(t), r.ever)
	left := r.holds(t, alice)
	switch {
	case r.keep == "true":
		sameMail(t, "the server in the end", left, held)
	case left.count() > 0:
		t.Errorf("%d messages are left on the server", left.count())
	}
}

// setBack makes everything that is recorded of a maildrop older by a duration.
func setBack(t *testing.T, path, user string, by time.Duration) {
	t.Helper()
	earlier := func(at *time.Time) {
		if !at.IsZero() {
			*at = at.Add(-by)
		}
	}
	store, err := state.File{Path: path}.Open()
	must(t, err)
	defer store.Close()
	drop := store.Maildrop(state.Key(user, "127.0.0.1"))
	facts, err := drop.Facts()
	must(t, err)
	earlier(&facts.Looked)
	earlier(&facts.ObservedAt)
	earlier(&facts.Latest)
	earlier(&facts.Steady)
	change := state.Change{Facts: &facts}
	must(t, drop.Scan(func(known iter.Seq2[[]byte, state.Record]) error {
		for id, r := range known {
			earlier(&r.Delivered)
			earlier(&r.Absent)
			earlier(&r.Counted)
			change.Put = append(change.Put, state.Entry{ID: string(id), Record: r})
		}
		return nil
	}))
	must(t, drop.Commit(change))
}
