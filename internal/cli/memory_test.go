//go:build linux && !race

package cli_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

// peak runs popfetch, which has to end with a code, and returns the peak of its
// resident memory in octets.
func (r *userHome) peak(code int, args string) int64 {
	r.t.Helper()
	e := r.exits(code, "exec measured popfetch "+args)
	var kib int64
	fields := strings.Fields(e.stdout) // the output of popfetch, and then the peak
	if _, err := fmt.Sscan(fields[len(fields)-1], &kib); err != nil {
		r.t.Fatalf("%v; it says %.1000s", err, e.stdout)
	}
	return kib << 10
}

// stateFile is where the state is by default.
func (r *userHome) stateFile() string {
	return filepath.Join(r.dir, ".local", "state", "popfetch", "state.db")
}

// tinyMessage is every message of a large maildrop.
const tinyMessage = "Subject: x\r\n\r\n"

// recordDelivered records all messages as delivered.
func (r *userHome) recordDelivered(all []pop3test.Message) {
	r.t.Helper()
	store, err := state.File{Path: r.stateFile()}.Open()
	if err != nil {
		r.t.Fatal(err)
	}
	defer store.Close()
	drop := store.Maildrop(state.Key("alice", "127.0.0.1"))
	same, err := plan.Inspect(strings.NewReader(tinyMessage))
	if err != nil {
		r.t.Fatal(err)
	}
	for len(all) > 0 {
		var c state.Change
		for _, m := range all[:min(10_000, len(all))] {
			record := state.Record{Delivered: time.Now().Add(-time.Hour), Octets: int64(len(m.Raw)), Fingerprint: same.Fingerprint, Body: same.Body, Observed: time.Second}
			c.Put = append(c.Put, state.Entry{ID: m.UID, Record: record})
		}
		all = all[len(c.Put):]
		if err := drop.Commit(c); err != nil {
			r.t.Fatal(err)
		}
	}
}

// The memory of a poll grows only by the octets of the listing. That holds for known
// and for new messages, for the longest listing that is accepted, and for a server
// that cuts the connection every time.
func TestMemoryOfALargeMaildrop(t *testing.T) {
	t.Parallel()
	n, most, mostNew := 100_000, int64(40<<20), int64(40<<20)
	if os.Getenv("POPFETCH_TORTURE") == "1" {
		n, most, mostNew = 1_000_000, 64<<20, 72<<20
	}
	ascending := func(i int) string { return fmt.Sprintf("%08x5f3a1b2c", i) } // as Dovecot has them
	mixed := func(i int) string { return fmt.Sprintf("%016x", uint64(i)*0x9E3779B97F4A7C15) }
	long := func(i int) string { return mixed(i) + strings.Repeat("x", 480) }
	for name, tt := range map[string]struct {
		n     int
		uid   func(i int) string
		known bool
		most  int64
	}{
		"known":              {n, ascending, true, most},
		"known, mixed":       {n, mixed, true, most},
		"new":                {n, ascending, false, mostNew},
		"new, mixed":         {n, mixed, false, mostNew},
		"new, of one id":     {n, func(int) string { return "same" }, false, mostNew},
		"new, of 32 MiB":     {65_000, long, false, 70 << 20},
		"nothing, for scale": {0, ascending, true, 32 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			all := make([]pop3test.Message, tt.n)
			for i := range all {
				all[i] = pop3test.Message{UID: tt.uid(i), Raw: []byte(tinyMessage)}
			}
			s := clearServer(t, all...)
			r := newUserHome(t, account("work", s, ""))
			var got int64
			code := 0
			if tt.known {
				r.recordDelivered(all)
				got = r.peak(0, "--once") // it makes the snapshot too
			} else {
				code = 75
				s.SetFaults(pop3test.Fault{At: "RETR", Do: pop3test.Drop})
			}
			before, _ := os.ReadFile(r.stateFile())
			got = max(got, r.peak(code, "--once"))
			takesAtMost(t, fmt.Sprintf("listing of %d messages, %s", tt.n, name), got, tt.most)
			if after, err := os.ReadFile(r.stateFile()); tt.known && (err != nil || string(before) != string(after)) {
				t.Errorf("the state file was changed: %v", err)
			}
		})
	}
}

// sized chooses a number: the sample of make test, or that of make torture.
func sized(sample, full int) int {
	if os.Getenv("POPFETCH_TORTURE") == "1" {
		return full
	}
	return sample
}

// takesAtMost compares a peak of memory with its bound, and prints both.
func takesAtMost(t *testing.T, what string, got, most int64) {
	t.Helper()
	t.Logf("BOUND %s: %.1f MiB of at most %d MiB", what, float64(got)/(1<<20), most>>20)
	if got > most {
		t.Errorf("%s took %d MiB of memory, more than %d MiB", what, got>>20, most>>20)
	}
}

// A stored message may be one endless line.
func TestMemoryOfStateRebuildWithALongFirstLine(t *testing.T) {
	t.Parallel()
	s := clearServer(t, pop3test.Message{UID: "a", Raw: []byte(tinyMessage)})
	r := newUserHome(t, account("work", s, ""))
	r.exits(0, "exec popfetch --once")
	// A hole takes no space on the disk, and reads as octets without a line end.
	name := filepath.Join(r.dir, "Mail", "work", "new", "1.hole.example")
	octets := int64(sized(128, 500)) << 20
	if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, octets)); err != nil {
		t.Fatal(err)
	}
	takesAtMost(t, fmt.Sprintf("state rebuild, a first line of %d MiB", octets>>20), r.peak(0, "state rebuild"), 48<<20)
}

// What the program of on_new_mail prints is kept up to a limit.
func TestMemoryOfOnNewMailThatPrintsForEver(t *testing.T) {
	t.Parallel()
	s := clearServer(t, pop3test.Message{UID: "a", Raw: []byte(tinyMessage)})
	octets := int64(sized(128, 3<<10)) << 20
	r := newUserHome(t, fmt.Sprintf("on_new_mail = [\"sh\", \"-c\", \"head -c %d /dev/zero; exit 1\"]\n%s", octets, account("work", s, "")))
	takesAtMost(t, fmt.Sprintf("on_new_mail that prints %d MiB", octets>>20), r.peak(0, "--once"), 40<<20)
}

// mostAgainstAnyServer is how much memory popfetch takes, whatever a server does.
const mostAgainstAnyServer = 64 << 20

// tinyMessages returns n messages with unique-ids as Dovecot has them.
func tinyMessages(n int) []pop3test.Message {
	all := make([]pop3test.Message, n)
	for i := range all {
		all[i] = pop3test.Message{UID: fmt.Sprintf("%08x5f3a1b2c", i), Raw: []byte(tinyMessage)}
	}
	return all
}

// bounded polls several times and compares memory, log and state file of each poll with
// their bounds.
func (r *userHome) bounded(what string, polls, code int) {
	r.t.Helper()
	var memory, log, file int64
	for range polls {
		e := r.exits(code, "exec measured popfetch --once")
		var kib int64
		if _, err := fmt.Sscan(e.stdout, &kib); err != nil {
			r.t.Fatal(err)
		}
		info, err := os.Stat(r.stateFile())
		if err != nil {
			r.t.Fatal(err)
		}
		memory, log, file = max(memory, kib<<10), max(log, int64(len(e.stderr))), max(file, info.Size())
	}
	takesAtMost(r.t, what, memory, mostAgainstAnyServer)
	const mostLog, mostFile = 64 << 10, 8 << 20
	r.t.Logf("BOUND %s: %d KiB of log of at most %d KiB, %d KiB of state of at most %d KiB", what, log>>10, mostLog>>10, file>>10, mostFile>>10)
	if log > mostLog || file > mostFile {
		r.t.Errorf("%s: %d KiB of log in one poll, %d KiB of state", what, log>>10, file>>10)
	}
}

// A server lists very many messages and refuses each with a long text.
func TestMemoryOfAServerThatRefusesEveryMessage(t *testing.T) {
	t.Parallel()
	n := sized(60_000, 300_000)
	s := clearServer(t, tinyMessages(n)...)
	s.SetFaults(pop3test.Fault{At: "RETR", Do: pop3test.Err, Text: strings.Repeat("x", 1900)})
	newUserHome(t, account("work", s, "")).bounded(fmt.Sprintf("%d messages refused", n), 3, 75)
}

// Very many messages are too big.
func TestMemoryOfManyMessagesThatAreTooBig(t *testing.T) {
	t.Parallel()
	n := sized(60_000, 500_000)
	s := clearServer(t, tinyMessages(n)...)
	newUserHome(t, account("work", s, "max_size = \"1B\"")).bounded(fmt.Sprintf("%d messages too big", n), 3, 0)
}

// recorded returns a home whose account has n messages on the server that it has delivered.
// keys are further lines of the account.
func recorded(t *testing.T, n int, keys string) (*userHome, *pop3test.Server) {
	t.Helper()
	all := tinyMessages(n)
	s := clearServer(t, all...)
	r := newUserHome(t, account("work", s, keys))
	r.recordDelivered(all)
	return r, s
}

// All known messages are due for deletion, and the server refuses every DELE.
func TestMemoryOfAServerThatRefusesEveryDELE(t *testing.T) {
	t.Parallel()
	n := sized(20_000, 200_000)
	r, s := recorded(t, n, "keep = false")
	s.SetFaults(pop3test.Fault{At: "DELE", Do: pop3test.Err, Text: strings.Repeat("x", 1900)})
	takesAtMost(t, fmt.Sprintf("%d DELE refused", n), r.peak(75, "--once"), mostAgainstAnyServer)
}

// Each of very many known messages has another size than before, so that its header
// block is looked at.
func TestMemoryOfAServerThatChangesEverySize(t *testing.T) {
	t.Parallel()
	n := sized(20_000, 200_000)
	r, s := recorded(t, n, "")
	s.SetFaults(pop3test.Fault{At: "LIST", Do: pop3test.WrongOctets, N: 77})
	takesAtMost(t, fmt.Sprintf("%d sizes changed", n), r.peak(0, "--once"), mostAgainstAnyServer)
}

// Each of very many known ids is new.
func TestMemoryOfAServerThatChangesEveryID(t *testing.T) {
	t.Parallel()
	n := sized(20_000, 100_000)
	r, s := recorded(t, n, "")
	s.SetFaults(pop3test.Fault{At: "UIDL", Do: pop3test.RenumberUID})
	takesAtMost(t, fmt.Sprintf("%d ids changed", n), r.peak(0, "--once"), mostAgainstAnyServer)
}

// Very many messages are fetched and deleted in one session.
func TestMemoryOfManyMessagesInOneSession(t *testing.T) {
	t.Parallel()
	n := sized(20_000, 100_000)
	s := clearServer(t, tinyMessages(n)...)
	r := newUserHome(t, account("work", s, "keep = false"))
	takesAtMost(t, fmt.Sprintf("%d messages in one session", n), r.peak(0, "--once"), mostAgainstAnyServer)
}

// Sixteen servers list very many messages at once, new ones or known ones.
func TestMemoryOfSixteenLargeListingsAtOnce(t *testing.T) {
	t.Parallel()
	n, most := sized(100_000, 500_000), int64(sized(100, 250))<<20
	var uidl, list strings.Builder
	for i := range n {
		fmt.Fprintf(&uidl, "%d %08x5f3a1b2c\r\n", i+1, i)
		fmt.Fprintf(&list, "%d 14\r\n", i+1)
	}
	s := clearServer(t)
	s.SetFaults(
		pop3test.Fault{At: "UIDL", Do: pop3test.Raw, After: pop3test.AfterStatus, Text: uidl.String() + ".\r\n"},
		pop3test.Fault{At: "LIST", Do: pop3test.Raw, After: pop3test.AfterStatus, Text: list.String() + ".\r\n"},
	)
	config := "parallel = 16\nparallel_per_host = 16\n"
	for i := range 16 {
		user := fmt.Sprintf("user%d", i)
		s.Users[user] = &pop3test.User{Password: secret, Maildrop: pop3test.NewMaildrop(pop3test.Message{Raw: []byte(tinyMessage)})}
		config += strings.Replace(account(user, s, ""), "alice", user, 1)
	}
	r := newUserHome(t, config)
	takesAtMost(t, fmt.Sprintf("16 listings of %d messages at once", n), r.peak(75, "--once"), most)
}
