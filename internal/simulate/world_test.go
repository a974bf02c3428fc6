package simulate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/deliver/maildir"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
	"popfetch/state/statetest"
)

const (
	user = "me"
	host = "pop.example.org"
	day  = 24 * time.Hour
	// calm is how long nothing happens at the end of a year but polls: long enough for
	// everything that is due.
	calm = 50 * day
)

// feature is what may happen in a year. Each seed chooses some.
type feature struct {
	oddMail, copies, twins, large                   bool
	otherClient, restore, newIDs                    bool
	faults, partial, crash, restart, pause, jump    bool
	bootsInThePast, serial, version1, program, disk bool
	changesPolicy                                   bool
	namesakes                                       bool // messages with equal header blocks, Message-ID included, and other bodies
}

// world is one maildrop with everything around it.
type world struct {
	t    testing.TB
	seed uint64
	r    *rand.Rand
	more *rand.Rand // for what came later, so that the older worlds stay as they were
	log  []string
	loud bool

	feature feature
	policy  plan.Policy
	server  *pop3test.Server
	drop    *pop3test.Maildrop
	oracle  *oracle

	now     time.Time     // the true time
	offset  time.Duration // of the clock of the machine
	correct time.Time     // when the clock is corrected, zero = it need not be

	memory  statetest.Memory
	store   state.Store
	mailbox *mailbox
	dir     string // of the state file and the Maildir, "" = in memory
	read    map[string]bool
	account *fetch.Account
	process *process

	made    int // mails
	polls   int
	failed  int // polls
	crashes int
	crashed time.Time // when popfetch crashed in the last poll, zero = it did not
	clean   bool      // nothing has gone wrong in the poll
	// skipsUpdate says that the server confirms deletions in the poll and forgets some.
	skipsUpdate bool
	backup      *backup
	restored    int // backups

	lost, repeats int // mails, beyond what popfetch(7) allows
}

// backup is a copy of the maildrop.
type backup struct {
	pop3test.Snapshot
	made time.Time
}

// chance is true with probability p.
func (w *world) chance(p float64) bool { return w.r.Float64() < p }

func (w *world) logf(format string, args ...any) {
	line := w.now.Format("01-02 15:04 ") + fmt.Sprintf(format, args...)
	if w.loud {
		fmt.Fprintln(os.Stderr, line)
	}
	w.log = append(w.log, line)
}

func (w *world) clock() time.Time { return w.now.Add(w.offset) }

// newWorld chooses what a seed is about.
func newWorld(t testing.TB, seed uint64) *world {
	w := &world{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 1)), more: rand.New(rand.NewPCG(seed, 2)), now: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}
	f := &w.feature
	for _, b := range []*bool{
		&f.oddMail, &f.copies, &f.twins, &f.large, &f.otherClient, &f.restore, &f.newIDs, &f.faults, &f.partial,
		&f.crash, &f.restart, &f.pause, &f.jump, &f.bootsInThePast, &f.serial, &f.version1, &f.program, &f.changesPolicy,
	} {
		*b = w.chance(.35)
	}
	f.disk = w.chance(.02)
	w.policy = w.choosePolicy()
	w.server = &pop3test.Server{Security: pop3test.ClearText, LockWait: 10 * time.Second}
	h := &w.server.Habits
	for _, b := range []*bool{&h.StampStatus, &h.Restamp, &h.TopField, &h.EstimateOctets, &h.CountLF, &h.NoOctets} {
		*b = w.chance(.25)
	}
	h.IDs = []pop3test.IDs{pop3test.MessageIDs, pop3test.MessageIDs, pop3test.NumberIDs, pop3test.PlaceIDs}[w.r.IntN(4)]
	h.Empty = pop3test.EmptyListing(w.r.IntN(3))
	if w.chance(.15) {
		h.Batch = 5 + w.r.IntN(20)
	}
	for _, lack := range []struct {
		name string
		p    float64
	}{{"TOP", .15}, {"UIDL", .1}, {"PIPELINING", .3}, {"CAPA", .1}, {"LIST", .05}} {
		if w.chance(lack.p) {
			w.server.Without = append(w.server.Without, lack.name)
		}
	}
	w.possible()
	if w.more.IntN(8) == 0 {
		w.chooseNamesakes()
	}
	return w
}

// chooseNamesakes has messages come that only their bodies and their unique-ids tell from
// others, in a world in which these can be believed.
func (w *world) chooseNamesakes() {
	f, h := &w.feature, &w.server.Habits
	f.namesakes = true
	f.twins, f.restore, f.newIDs, f.otherClient, f.partial, f.version1, f.changesPolicy = false, false, false, false, false, false, false
	h.IDs, h.Batch = pop3test.MessageIDs, 0
	w.server.Without = slices.DeleteFunc(w.server.Without, func(s string) bool { return s == "UIDL" })
}

// possible takes away what no fetcher can do right, see popfetch(7).
func (w *world) possible() {
	h := &w.server.Habits
	lacks := func(name string) bool { return slices.Contains(w.server.Without, name) }
	gets := func(name string) {
		w.server.Without = slices.DeleteFunc(w.server.Without, func(s string) bool { return s == name })
	}
	if !lacks("PIPELINING") && h.Empty == pop3test.EmptyDotless {
		h.Empty = pop3test.EmptyWithDot // and such a server costs a wait for its timeout
	}
	if lacks("UIDL") {
		gets("TOP")
		gets("LIST")
		h.NoOctets = false // LIST is the listing then
	}
	if h.Batch > 0 {
		w.policy.MaxOctets = 0 // large messages fill the view
		// And so do messages that are known and need not be retrieved.
		w.feature.restore, w.feature.version1 = false, false
		if h.IDs == pop3test.PlaceIDs { // only the daily look tells that the next batch has come
			h.IDs = pop3test.MessageIDs
		}
	}
	// Without header blocks only the unique-ids and sizes tell messages apart.
	if lacks("TOP") && (h.IDs != pop3test.MessageIDs || w.feature.restore) {
		gets("TOP")
	}
}

func (w *world) choosePolicy() plan.Policy {
	var p plan.Policy
	switch w.r.IntN(4) {
	case 0:
	case 1:
		p.Delete = true
	case 2:
		p.Delete, p.After = true, 14*day
	case 3:
		p.Delete, p.After = true, 3*day
	}
	if w.chance(.15) {
		p.MaxMessages = 3 + w.r.IntN(10)
	}
	if w.chance(.15) {
		p.MaxOctets = 20_000
	}
	return p
}

// String describes the world.
func (w *world) String() string {
	return fmt.Sprintf("policy %+v\nfeatures %+v\nhabits %+v\nwithout %v", w.policy, w.feature, w.server.Habits, w.server.Without)
}

// start brings up server, destination and state.
func (w *world) start() error {
	w.drop = pop3test.NewMaildrop()
	w.server.Users = map[string]*pop3test.User{user: {Password: "secret", Maildrop: w.drop}}
	w.oracle = newOracle(w)
	if err := w.server.Start(); err != nil {
		return err
	}
	w.mailbox = &mailbox{program: w.feature.program, taken: make(map[string]bool), staged: make(map[string][]byte)}
	if w.feature.disk {
		w.dir, w.read = w.t.TempDir(), make(map[string]bool)
	}
	for range w.r.IntN(15) {
		w.send()
	}
	if err := w.restart(); err != nil {
		return err
	}
	if w.feature.version1 {
		return w.writeVersion1()
	}
	return nil
}

func (w *world) stop() {
	w.server.Close()
	if w.store != nil {
		w.store.Close()
	}
}

// writeVersion1 has the state file of a popfetch that has delivered some of the mail
// and has recorded it in version 1.
func (w *world) writeVersion1() error {
	h := w.server.Habits
	if slices.Contains(w.server.Without, "UIDL") {
		return nil // the ids were others then
	}
	var put []state.Entry
	ids := make(map[string]int)
	for i, m := range w.drop.Messages() {
		id := m.UID
		switch h.IDs {
		case pop3test.NumberIDs:
			id = fmt.Sprint(i + 1)
		case pop3test.PlaceIDs:
			id = fmt.Sprintf("place%08x", i+1)
		}
		if ids[id]++; ids[id] > 1 {
			id = fmt.Sprintf("%s\x00%d", id, ids[id])
		}
		if w.chance(.3) {
			continue
		}
		d := plan.NewIdentifier()
		d.Write(m.Raw)
		octets := int64(len(m.Raw))
		switch {
		case h.NoOctets || slices.Contains(w.server.Without, "LIST"):
			octets = -1
		case h.CountLF:
			octets -= int64(strings.Count(string(m.Raw), "\r\n"))
		}
		put = append(put, state.Entry{ID: id, Record: state.Record{Delivered: w.clock().Add(-time.Hour), Octets: octets, Digest: d.Identity().Block}})
		w.oracle.see(m).version1 = true
		w.oracle.delivered(m.Raw)
	}
	return w.account.Maildrop.Commit(state.Change{Begin: true, Put: put})
}

// restart begins a new process.
func (w *world) restart() (err error) {
	if w.store != nil {
		w.store.Close()
	}
	if w.store = w.memory.Open(); w.dir != "" {
		if w.store, err = (state.File{Path: filepath.Join(w.dir, "state.db")}).Open(); err != nil {
			return err
		}
	}
	w.process = new(process)
	key := state.Key(user, host)
	w.account = &fetch.Account{
		Name: "test", User: user, Host: host, Protocol: "POP3", Key: key, Fallback: true,
		Maildrop: mortalMaildrop{w.store.Maildrop(key), w.process},
		Policy:   w.policy, Now: w.clock, Open: w.login,
		Destination: w.destination, Recover: w.recover,
	}
	if w.loud {
		w.account.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return nil
}

func (w *world) destination(context.Context) (deliver.Destination, error) {
	if w.dir == "" {
		return mortalDestination{w.mailbox, w.process}, nil
	}
	m := &maildir.Maildir{Path: filepath.Join(w.dir, "mail"), Owner: "0123456789abcdef", Host: "here"}
	if err := m.Open(); err != nil {
		return nil, err
	}
	return mortalDestination{m, w.process}, m.Sweep(nil)
}

func (w *world) recover(ctx context.Context, i deliver.Intent) (deliver.Outcome, error) {
	if w.dir == "" {
		return w.mailbox.recover(ctx, i)
	}
	return maildir.Recover(ctx, i, w.clock())
}

// arrivals returns what was delivered since the last call.
func (w *world) arrivals() (all [][]byte, err error) {
	if w.dir == "" {
		all, w.mailbox.arrived = w.mailbox.arrived, nil
		return all, nil
	}
	names, err := os.ReadDir(filepath.Join(w.dir, "mail", "new"))
	if os.IsNotExist(err) {
		return nil, nil
	}
	for _, e := range names {
		if w.read[e.Name()] {
			continue
		}
		w.read[e.Name()] = true
		octets, err := os.ReadFile(filepath.Join(w.dir, "mail", "new", e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, octets)
	}
	return all, err
}

// year lets a year pass, and a calm time.
func (w *world) year() {
	end := w.now.Add(365 * day)
	every := time.Duration(3+w.r.IntN(30)) * time.Hour
	rate := .3 + w.r.Float64()*1.5 // mails a day
	for w.now.Before(end) && !w.t.Failed() {
		gap := time.Duration(float64(every) * (.5 + w.r.Float64()))
		switch {
		case w.feature.pause && w.chance(.01):
			gap = 31 * day
		case w.chance(.1):
			gap = 5 * time.Minute
		}
		w.pass(gap)
		w.happen(gap, rate)
		w.poll()
	}
	w.settle()
	quiet := calm
	if w.policy.MaxMessages > 0 {
		quiet *= 2 // many polls come before what was deferred is due
	}
	for last := w.now.Add(quiet); w.now.Before(last) && !w.t.Failed(); {
		w.pass(time.Duration(8+w.r.IntN(8)) * time.Hour)
		w.poll()
	}
	if !w.t.Failed() {
		w.oracle.end()
	}
}

// pass lets true time pass.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	if !w.correct.IsZero() && !w.now.Before(w.correct) {
		w.logf("the clock is corrected")
		w.offset, w.correct = 0, time.Time{}
	}
}

// happen has things happen between two polls.
func (w *world) happen(gap time.Duration, rate float64) {
	f := &w.feature
	for mails := rate * gap.Hours() / 24; mails > 0 && w.made < 2000; mails-- {
		if w.chance(min(mails, 1)) {
			w.send()
		}
	}
	w.otherClient()
	w.backups()
	h := &w.server.Habits
	if f.newIDs && w.chance(.01) {
		h.NewIDsFrom = w.drop.Sessions() + 1
		w.logf("all unique-ids are new")
	}
	if f.changesPolicy && w.chance(.005) {
		w.policy = w.choosePolicy()
		w.possible()
		w.oracle.begin()
		w.logf("policy %+v", w.policy)
		w.begin()
	}
	w.clocks()
	if f.restart && w.chance(.1) {
		w.begin()
	}
}

func (w *world) begin() {
	if err := w.restart(); err != nil {
		w.t.Fatal(err)
	}
}

// otherClient deletes.
func (w *world) otherClient() {
	held := w.drop.Messages()
	if !w.feature.otherClient && len(held) < 80 {
		return
	}
	p := .01
	if w.chance(.01) {
		p = 1
	} else if len(held) > 80 {
		p = .2
	}
	for _, m := range held {
		if w.chance(p) {
			w.drop.Remove(m.UID)
			w.logf("another client deletes %s", m.UID)
		}
	}
}

// backups makes copies of the maildrop and restores them.
func (w *world) backups() {
	switch {
	case !w.feature.restore:
	case w.backup == nil && w.chance(.03):
		w.backup = &backup{w.drop.Snapshot(), w.now}
		w.logf("backup")
	case w.backup != nil && w.now.Sub(w.backup.made) > 20*day:
		w.backup = nil
	case w.backup != nil && w.chance(.03):
		w.drop.Restore(w.backup.Snapshot)
		w.restored++
		w.logf("the maildrop is restored from the backup of %v", w.backup.made)
		w.backup = nil
	}
}

// clocks has the clock of the machine jump.
func (w *world) clocks() {
	switch {
	case w.feature.jump && w.correct.IsZero() && w.chance(.01):
		w.offset = []time.Duration{-3 * 365 * day, -day, -time.Hour, 0, time.Hour, day, 20 * day, 3 * 365 * day}[w.r.IntN(8)]
		w.logf("the clock jumps to %v", w.clock())
	case w.feature.bootsInThePast && w.offset == 0 && w.chance(.02):
		w.offset = []time.Duration{-w.now.Sub(time.Unix(0, 0)), -time.Duration(1+w.r.IntN(100)) * time.Hour}[w.r.IntN(2)]
		w.correct = w.now.Add(3 * time.Minute)
		w.logf("the machine starts at %v", w.clock())
		w.begin()
		w.poll()
		w.pass(5 * time.Minute)
	}
}

// settle ends everything that goes wrong.
func (w *world) settle() {
	w.logf("from here on all is well")
	w.feature.faults, w.feature.crash, w.feature.partial = false, false, false
	w.offset, w.correct = 0, time.Time{}
	w.begin()
}

// faults chooses what goes wrong in the session of one poll.
func (w *world) faults() (all []pop3test.Fault) {
	add := func(f pop3test.Fault) {
		f.Times = 1
		all = append(all, f)
		w.logf("fault %q %d after %d, N=%d %s", f.At, f.Do, f.After, f.N, f.Text)
	}
	if w.feature.partial && w.chance(.04) {
		add(pop3test.Fault{Do: pop3test.Partial, N: int64(w.r.IntN(3) * w.r.IntN(10))})
	}
	if !w.feature.faults || !w.chance(.25) {
		return all
	}
	n := 1 + w.r.IntN(10)
	retr := fmt.Sprintf("RETR %d", n)
	switch w.r.IntN(12) {
	case 0:
		add(pop3test.Fault{At: retr, Do: pop3test.Err, Text: "cannot"})
	case 1:
		add(pop3test.Fault{At: "RETR", Do: pop3test.Err, Text: "[SYS/TEMP] later"})
	case 2:
		add(pop3test.Fault{At: "RETR", Do: pop3test.Drop, After: int64(w.r.IntN(300))})
	case 3:
		add(pop3test.Fault{Do: pop3test.Drop, After: int64(w.r.IntN(3000))})
	case 4:
		add(pop3test.Fault{At: "QUIT", Do: pop3test.Err})
	case 5:
		add(pop3test.Fault{At: "QUIT", Do: pop3test.Drop})
	case 6:
		add(pop3test.Fault{At: "QUIT", Do: pop3test.SkipUpdate, N: int64(w.r.IntN(3))})
	case 7:
		add(pop3test.Fault{At: "DELE", Do: pop3test.Err})
	case 8:
		add(pop3test.Fault{At: "DELE", Do: pop3test.Drop})
	case 9:
		add(pop3test.Fault{At: "TOP", Do: pop3test.Err})
	case 10:
		add(pop3test.Fault{At: "LIST", Do: pop3test.Err})
	case 11:
		add(pop3test.Fault{At: "UIDL", Do: pop3test.Err, Text: "[SYS/TEMP] later"})
	}
	return all
}

// poll polls once, with what may go wrong.
func (w *world) poll() {
	faults := w.faults()
	w.server.SetFaults(faults...)
	if w.feature.crash && w.chance(.08) {
		p := w.process
		p.crash = []step{atStage, atPrepare, atCommit, atPublish, atDele}[w.r.IntN(5)]
		p.left, p.part = w.r.IntN(4), w.r.IntN(3)
	}
	w.skipsUpdate = slices.ContainsFunc(faults, func(f pop3test.Fault) bool { return f.Do == pop3test.SkipUpdate })
	before := w.drop.Messages()
	_, err := w.account.Poll(context.Background())
	w.server.Wait()
	w.polls++
	arrived, readErr := w.arrivals()
	if readErr != nil {
		w.t.Fatal(readErr)
	}
	if err != nil {
		w.failed++
		w.logf("poll: %v", err)
	}
	w.clean = err == nil && len(faults) == 0
	w.oracle.polled(before, arrived)
	w.crashed = time.Time{}
	if w.process.dead {
		w.logf("crash at %s, part %d", w.process.crash, w.process.part)
		w.crashes++
		w.crashed = w.now
		w.begin()
	}
	w.process.crash = ""
	// If ids shift, a copy with the id of a deleted one looks like a message that the server
	// keeps. A message may turn out larger than max_size.
	looksKept := errors.As(err, new(*fetch.UndeletedError)) && w.feature.copies && !w.oracle.stableIDs()
	if err != nil && !looksKept && len(faults) == 0 && !w.feature.crash && !w.feature.faults && w.policy.MaxOctets == 0 {
		w.fail("a poll failed although nothing went wrong: %v", err)
	}
}

// fail ends the year.
func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	if w.t.Failed() {
		return
	}
	switch kind, _, _ := strings.Cut(format, " "); kind {
	case "LOST":
		w.lost++
	case "REPEATED":
		w.repeats++
	}
	log := w.log
	if len(log) > 60 {
		log = log[len(log)-60:]
	}
	w.t.Errorf("seed %d (POPFETCH_SIMULATE=%d go test ./internal/simulate): %s\nwith %v\n...\n%s", w.seed, w.seed, fmt.Sprintf(format, args...), w, strings.Join(log, "\n"))
}
