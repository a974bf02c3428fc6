package fetch_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"popfetch/deliver"
	"popfetch/deliver/maildir"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

// upTo returns 1 to n.
func upTo(n int) []int {
	nums := make([]int, n)
	for i := range nums {
		nums[i] = i + 1
	}
	return nums
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is one account with its server, state file and Maildir.
type fixture struct {
	t       *testing.T
	server  *pop3test.Server
	drop    *pop3test.Maildrop
	dir     string
	store   *state.Bolt
	account *fetch.Account
	options pop3.Options
}

// text returns the nth message as a Maildir stores it.
func text(n int) string {
	return fmt.Sprintf("From: sender%d@example.org\nMessage-ID: <%d@example.org>\nSubject: message %d\n\n.This is message %d.\n.\n", n, n, n, n)
}

func message(n int) pop3test.Message {
	return pop3test.Message{UID: fmt.Sprintf("u%d", n), Raw: pop3test.Text(text(n))}
}

func messages(n int) []pop3test.Message {
	all := make([]pop3test.Message, n)
	for i := range all {
		all[i] = message(i + 1)
	}
	return all
}

// scratch returns a directory that is removed after the test, in memory if
// possible: these tests are about the order of calls, not about the disk.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "popfetch-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// clocked runs a test with a fixture in a synctest bubble, and its server in memory: time
// passes only while client and server both wait, and a time limit never on a slow machine.
func clocked(t *testing.T, n int, change func(*pop3test.Server), test func(t *testing.T, h *fixture)) {
	t.Helper()
	begun := time.Now()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(begun)) // certificates and files are of today
		test(t, newFixture(t, n, func(s *pop3test.Server) {
			s.Listen = pop3test.InMemory
			if change != nil {
				change(s)
			}
		}))
	})
}

// newFixture returns a fixture with n messages on the server.
func newFixture(t *testing.T, n int, change func(*pop3test.Server)) *fixture {
	t.Helper()
	h := &fixture{t: t, drop: pop3test.NewMaildrop(messages(n)...), dir: scratch(t)}
	h.options = pop3.Options{Security: pop3.ClearText, Timeout: 2 * time.Minute, Pipelining: pop3.PipelineOff}
	h.server = &pop3test.Server{
		Security: pop3test.ClearText,
		Users:    map[string]*pop3test.User{"me": {Password: "secret", Maildrop: h.drop}},
		LockWait: time.Minute,
	}
	if change != nil {
		change(h.server)
	}
	if err := h.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.server.Close() })
	h.restart()
	t.Cleanup(func() { h.store.Close() })
	return h
}

func faults(f ...pop3test.Fault) func(*pop3test.Server) {
	return func(s *pop3test.Server) { s.Faults = f }
}

func without(names ...string) func(*pop3test.Server) {
	return func(s *pop3test.Server) { s.Without = names }
}

// restart stands for a new process on the same files.
func (h *fixture) restart() {
	h.t.Helper()
	if h.store != nil {
		h.store.Close()
	}
	store, err := state.File{Path: filepath.Join(h.dir, "state.db")}.Open()
	if err != nil {
		h.t.Fatal(err)
	}
	h.store = store
	key := state.Key("me", "pop.example.org")
	policy := plan.Policy{}
	if h.account != nil {
		policy = h.account.Policy
	}
	h.account = &fetch.Account{
		Name: "test", User: "me", Host: "pop.example.org", Protocol: "POP3",
		Key: key, Maildrop: store.Maildrop(key), Policy: policy,
		Open: h.dial, Destination: h.maildir, Recover: recoverMaildir,
	}
}

func (h *fixture) dial(ctx context.Context, how fetch.Opening) (fetch.Session, error) {
	return h.dialWith(&h.options)(ctx, how)
}

func (h *fixture) dialWith(o *pop3.Options) func(context.Context, fetch.Opening) (fetch.Session, error) {
	return func(ctx context.Context, how fetch.Opening) (fetch.Session, error) {
		o := *o
		if h.server.Listen == pop3test.InMemory {
			o.Dial = func(context.Context, string, string) (net.Conn, error) { return h.server.Dial() }
		}
		if how.Serial {
			o.Pipelining = pop3.PipelineOff
		}
		client, err := pop3.Dial(ctx, "tcp", h.server.Addr(), &o)
		if err != nil {
			return nil, err
		}
		if _, err := client.Login(pop3.Credentials{User: "me", Password: "secret", Expected: how.Expected, Next: how.Next, Patient: how.Patient}); err != nil {
			client.Close()
			return nil, err
		}
		return client, nil
	}
}

func (h *fixture) maildir(context.Context) (deliver.Destination, error) {
	m := &maildir.Maildir{Path: filepath.Join(h.dir, "mail"), Owner: "0123456789abcdef", Host: "here"}
	if err := m.Open(); err != nil {
		return nil, err
	}
	return m, m.Sweep(nil)
}

func recoverMaildir(ctx context.Context, i deliver.Intent) (deliver.Outcome, error) {
	return maildir.Recover(ctx, i, time.Now())
}

// poll polls once and waits until the server has ended the session.
func (h *fixture) poll() (fetch.Report, error) {
	h.t.Helper()
	r, err := h.account.Poll(context.Background())
	h.server.Wait()
	return r, err
}

// mustPoll is poll without an error.
func (h *fixture) mustPoll() fetch.Report {
	h.t.Helper()
	r, err := h.poll()
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// mail returns the messages in a directory of the Maildir, sorted.
func (h *fixture) mail(part string) []string {
	h.t.Helper()
	entries, err := os.ReadDir(filepath.Join(h.dir, "mail", part))
	if err != nil && !os.IsNotExist(err) {
		h.t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		octets, err := os.ReadFile(filepath.Join(h.dir, "mail", part, e.Name()))
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, string(octets))
	}
	slices.Sort(all)
	return all
}

// delivered checks that new/ has exactly these messages, and tmp/ none.
func (h *fixture) delivered(nums ...int) {
	h.t.Helper()
	var want []string
	for _, n := range nums {
		want = append(want, text(n))
	}
	h.deliveredTexts(want...)
}

func (h *fixture) deliveredTexts(want ...string) {
	h.t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(want, h.mail("new")); diff != "" {
		h.t.Errorf("new/ (-want +got):\n%s", diff)
	}
	if left := h.mail("tmp"); len(left) > 0 {
		h.t.Errorf("tmp/ has %d files", len(left))
	}
}

// onServer checks that the server has exactly these messages.
func (h *fixture) onServer(want ...string) {
	h.t.Helper()
	var got []string
	for _, m := range h.drop.Messages() {
		got = append(got, m.UID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Errorf("on the server (-want +got):\n%s", diff)
	}
}

// sent returns the commands of a session that begin with one of the words.
func (h *fixture) sent(session int, words ...string) []string {
	var lines []string
	for _, line := range h.server.SessionCommands(session) {
		verb, _, _ := strings.Cut(line, " ")
		if slices.Contains(words, verb) {
			lines = append(lines, line)
		}
	}
	return lines
}

// commands checks which of a session's commands begin with one of the verbs.
func (h *fixture) commands(session int, verbs []string, want ...string) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.sent(session, verbs...)); diff != "" {
		h.t.Errorf("session %d (-want +got):\n%s", session, diff)
	}
}

var effects = []string{"LIST", "TOP", "RETR", "DELE", "QUIT"}

// known returns the records of the state.
func (h *fixture) known() records {
	h.t.Helper()
	known := records{}
	err := h.account.Maildrop.Scan(func(all seq) error {
		for id, r := range all {
			known[string(id)] = r
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return known
}

// put replaces a record of the state.
func (h *fixture) put(id string, r state.Record) {
	h.t.Helper()
	if err := h.account.Maildrop.Commit(state.Change{Put: []state.Entry{{ID: id, Record: r}}}); err != nil {
		h.t.Fatal(err)
	}
}

// untouched checks that f changes no file of the fixture.
func (h *fixture) untouched(f func()) {
	h.t.Helper()
	before := h.files()
	f()
	if diff := cmp.Diff(before, h.files()); diff != "" {
		h.t.Errorf("files were changed: %s", diff)
	}
}

// files describes all files: their modes, sizes and times, or the octets of the
// state file.
func (h *fixture) files() map[string]string {
	h.t.Helper()
	all := map[string]string{}
	err := filepath.Walk(h.dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		all[path] = fmt.Sprint(info.Mode(), info.Size(), info.ModTime())
		if strings.HasSuffix(path, "state.db") {
			octets, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all[path] = string(bytes.TrimRight(octets, "\x00"))
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// class checks the class of err.
func class(t *testing.T, err error, want fetch.Class) {
	t.Helper()
	if got := fetch.Classify(err); got != want {
		t.Errorf("class %d of %v, want %d", got, err, want)
	}
}
