// Package delivertest tests the promises of deliver.Destination. Every kind of
// destination has to pass it.
//
// A new kind calls Run from its own tests with a function that makes a new, empty place
// for mail, and needs four things for that: a way to read what was delivered
// (a server or program of the test, say), a way to see what a delivery has left
// behind, its Recover, and, where its calls to the outside go through an
// interface, a Faults that makes each of them fail. Run then demands:
//
//   - The octets of a message arrive as Fixture.Stored says, whatever they are.
//   - Readers see nothing before Publish, and never a part of a message.
//   - A message that is given up, or whose reader fails, leaves nothing behind.
//   - A bad member of a group does not harm the others.
//   - An ended context ends Stage and Prepare.
//   - Stage may run at the same time as Prepare and Publish, and two destinations may
//     deliver to one place.
//   - Whichever call fails, and wherever the process is killed, each message is delivered
//     in the end: once, or where Recover cannot say what became of it at most twice.
//
// What a kind does about its own protocol, its refusals and its time limits is for its
// own tests.
package delivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"popfetch/deliver"
)

// Fixture is one place that takes mail, new and empty for each test.
type Fixture struct {
	// Open opens a destination on the place. It is called more than once, also
	// while another one is open.
	Open func() deliver.Destination
	// Recover decides what became of an intent, as of a process that is gone.
	Recover func(context.Context, deliver.Intent) (deliver.Outcome, error)
	// Faults makes calls of the destinations and of Recover fail, nil = it cannot
	// be done.
	Faults Faults
	// Stored returns how a reader sees a message that came with these octets:
	// what the destination does to line ends, and nothing else. See LF.
	Stored func(wire string) string
	// Delivered returns the messages that a reader sees, in any order.
	Delivered func() []string
	// Leftovers returns the names of what deliveries have left behind and no
	// reader sees: one for each message, if any.
	Leftovers func() []string
}

// LF is Fixture.Stored of a destination that stores what deliver.NewLFReader returns.
func LF(wire string) string { return strings.ReplaceAll(wire, "\r\n", "\n") }

// Run runs the tests, each with its own Fixture. What it cleans up belongs to the
// t that setup is given.
func Run(t *testing.T, setup func(t *testing.T) Fixture) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *place)
	}{
		{"bytes arrive as they are", testBytes},
		{"nothing is visible before Publish", testInvisible},
		{"Abort leaves nothing", testAbort},
		{"Abort after Publish does nothing", testAbortAfterPublish},
		{"a read error leaves nothing", testReadError},
		{"ErrUnexpectedEOF is not the end", testUnexpectedEOF},
		{"a group", testGroup},
		{"a bad member does not harm the others", testBadMember},
		{"ctx ended", testCancelled},
		{"two destinations at one place", testTwo},
		{"Stage and Abort beside Prepare and Publish", testConcurrent},
		{"a slow message holds up no other", testSlow},
		{"Recover before Publish", testRecoverBeforePublish},
		{"Recover after Publish", testRecoverAfterPublish},
		{"Close is idempotent", testClose},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t, setup)) })
	}
	t.Run("each call fails", func(t *testing.T) { testFaults(t, setup) })
	t.Run("each call of Recover fails", func(t *testing.T) { testFaultsInRecover(t, setup) })
}

// open opens a destination on a new place.
func open(t *testing.T, setup func(t *testing.T) Fixture) *place {
	p := &place{T: t, Fixture: setup(t)}
	p.d = p.Open()
	t.Cleanup(func() { p.d.Close() })
	return p
}

// place is a Fixture with an open destination.
type place struct {
	*testing.T
	Fixture
	d deliver.Destination
}

func meta() deliver.Meta {
	return deliver.Meta{
		ID: "0123456789abcdef", Account: "work", User: "me@example.org", Host: "pop.example.org",
		UID: "uid/1", Protocol: "POP3S", Attempt: 1, Time: time.Now(),
	}
}

// stage stages text with the destination d.
func (p *place) stage(d deliver.Destination, text string) deliver.Staged {
	p.Helper()
	s, err := d.Stage(p.Context(), meta(), strings.NewReader(text))
	if err != nil {
		p.Fatalf("stage: %v", err)
	}
	return s
}

// publish delivers the group, in parts of the size that the destination takes.
func (p *place) publish(d deliver.Destination, group ...deliver.Staged) {
	p.Helper()
	if err := settle(p.Context(), d, group); err != nil {
		p.Fatal(err)
	}
}

// settle is publish for any goroutine.
func settle(ctx context.Context, d deliver.Destination, group []deliver.Staged) error {
	for part := range slices.Chunk(group, d.Group()) {
		if err := errors.Join(d.Prepare(ctx, part)...); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		for _, s := range part {
			if in := s.Intent(); in.Kind == "" || in.Note == "" {
				return fmt.Errorf("incomplete intent %+v", in)
			}
		}
		if err := errors.Join(d.Publish(ctx, part)...); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return nil
}

// expect checks that readers see the messages sent, and that nothing else is left.
func (p *place) expect(sent ...string) {
	p.Helper()
	var want []string
	for _, text := range sent {
		want = append(want, p.Stored(text))
	}
	got := p.Delivered()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.Errorf("readers see %d messages %.300q, want %d: %.300q", len(got), got, len(want), want)
	}
	if left := p.Leftovers(); len(left) > 0 {
		p.Errorf("left behind: %q", left)
	}
}

func testBytes(t *testing.T, p *place) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	texts := []string{
		"",
		"\r\n",
		"Subject: no final line end\r\n\r\nbody",
		"From nobody\r\n.\r\n..\r\n.x\r\n",
		"a\rb\r\nc\r\r\nd\x00e\nf\r",
		string(every),
		"Subject: \xe4\xf6\r\n\r\n\xff\xfe",
		"long line: " + strings.Repeat("x", 100_000) + "\r\n",
		strings.Repeat("0123456789abcd\r\n", 3<<16), // 3 MiB
	}
	for _, text := range texts {
		p.publish(p.d, p.stage(p.d, text))
	}
	p.expect(texts...)
}

func testInvisible(t *testing.T, p *place) {
	s := p.stage(p.d, "Subject: x\r\n\r\n")
	if got := p.Delivered(); len(got) != 0 {
		t.Errorf("after Stage readers see %q", got)
	}
	group := []deliver.Staged{s}
	if err := errors.Join(p.d.Prepare(t.Context(), group)...); err != nil {
		t.Fatal(err)
	}
	if got := p.Delivered(); len(got) != 0 {
		t.Errorf("after Prepare readers see %q", got)
	}
	if err := errors.Join(p.d.Publish(t.Context(), group)...); err != nil {
		t.Fatal(err)
	}
	p.expect("Subject: x\r\n\r\n")
}

func testAbort(t *testing.T, p *place) {
	staged := p.stage(p.d, strings.Repeat("x", 2<<20))
	prepared := p.stage(p.d, "y")
	if err := errors.Join(p.d.Prepare(t.Context(), []deliver.Staged{prepared})...); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, s := range []deliver.Staged{staged, prepared} {
			if err := s.Abort(); err != nil {
				t.Errorf("abort: %v", err)
			}
		}
	}
	p.expect()
	if errs := p.d.Publish(t.Context(), []deliver.Staged{prepared}); errors.Join(errs...) == nil {
		t.Error("Publish after Abort reports a delivery")
	}
	p.expect()
}

func testAbortAfterPublish(t *testing.T, p *place) {
	s := p.stage(p.d, "x")
	p.publish(p.d, s)
	if err := s.Abort(); err != nil {
		t.Errorf("abort: %v", err)
	}
	p.expect("x")
}

func testReadError(t *testing.T, p *place) {
	broken := errors.New("connection lost")
	for _, before := range []int{0, 1, 100_000, 2 << 20} {
		r := io.MultiReader(strings.NewReader(strings.Repeat("x", before)), iotest.ErrReader(broken))
		s, err := p.d.Stage(t.Context(), meta(), r)
		if s != nil || !errors.Is(err, broken) {
			t.Errorf("after %d octets: Stage = %v, %v, want %v", before, s, err, broken)
		}
	}
	p.expect()
}

func testUnexpectedEOF(t *testing.T, p *place) {
	r := io.MultiReader(strings.NewReader("half a mess"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := p.d.Stage(t.Context(), meta(), r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Stage = %v, want %v", err, io.ErrUnexpectedEOF)
	}
	p.expect()
}

func testGroup(t *testing.T, p *place) {
	if p.d.Group() < 1 {
		t.Fatalf("Group() = %d", p.d.Group())
	}
	var group []deliver.Staged
	var want []string
	for i := range min(p.d.Group(), 20) + 1 {
		text := strings.Repeat("line\r\n", i)
		group = append(group, p.stage(p.d, text))
		want = append(want, text)
	}
	p.publish(p.d, group...)
	p.expect(want...)
}

func testBadMember(t *testing.T, p *place) {
	bad := p.stage(p.d, "bad")
	if err := bad.Abort(); err != nil {
		t.Fatal(err)
	}
	group := []deliver.Staged{p.stage(p.d, "first"), bad, p.stage(p.d, "last")}
	for _, step := range []func(context.Context, []deliver.Staged) []error{p.d.Prepare, p.d.Publish} {
		errs := step(t.Context(), group)
		if len(errs) != 3 || errs[0] != nil || errs[1] == nil || errs[2] != nil {
			t.Fatalf("errors %v, want one for the second message", errs)
		}
		var e *deliver.Error
		if !errors.As(errs[1], &e) || e.Scope != deliver.Message {
			t.Errorf("error %#v, want an *Error of scope Message", errs[1])
		}
	}
	p.expect("first", "last")
}

func testCancelled(t *testing.T, p *place) {
	ctx, cancel := context.WithCancel(t.Context())
	s := p.stage(p.d, "x")
	cancel()
	if _, err := p.d.Stage(ctx, meta(), bytes.NewReader(nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("Stage: %v, want %v", err, context.Canceled)
	}
	group := []deliver.Staged{s}
	if err := errors.Join(p.d.Prepare(ctx, group)...); !errors.Is(err, context.Canceled) {
		t.Errorf("Prepare: %v, want %v", err, context.Canceled)
	}
	if err := s.Abort(); err != nil {
		t.Error(err)
	}
	p.expect()
}

func testTwo(t *testing.T, p *place) {
	other := p.Open()
	t.Cleanup(func() { other.Close() })
	a, b := p.stage(p.d, "same"), p.stage(other, "same")
	p.publish(other, b)
	p.publish(p.d, a)
	p.expect("same", "same")
}

// testConcurrent stages messages in one goroutine and delivers earlier ones in another.
// Both give up some of them. The race detector watches.
func testConcurrent(t *testing.T, p *place) {
	groups := make(chan []deliver.Staged)
	settled := make(chan error, 1)
	go func() {
		var errs []error
		for group := range groups {
			errs = append(errs, group[0].Abort(), settle(t.Context(), p.d, group[1:]))
		}
		settled <- errors.Join(errs...)
	}()
	var want []string
	for i := range 8 {
		var group []deliver.Staged
		for j := range 4 {
			text := strings.Repeat(fmt.Sprintf("message %d of group %d\r\n", j, i), 1000*j)
			s := p.stage(p.d, text)
			if j == 1 {
				if err := s.Abort(); err != nil {
					t.Errorf("abort: %v", err)
				}
				continue
			}
			group = append(group, s)
			if j > 0 {
				want = append(want, text)
			}
		}
		groups <- group
	}
	close(groups)
	if err := <-settled; err != nil {
		t.Error(err)
	}
	p.expect(want...)
}

// testSlow stages a message whose second half comes only after other messages have been
// delivered and given up.
func testSlow(t *testing.T, p *place) {
	before, unwanted := p.stage(p.d, "before"), p.stage(p.d, "unwanted")
	const half = "half of it\r\n"
	r := io.MultiReader(strings.NewReader(half), meanwhile(func() error {
		return errors.Join(settle(t.Context(), p.d, []deliver.Staged{before}), unwanted.Abort())
	}), strings.NewReader(half))
	s, err := p.d.Stage(t.Context(), meta(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Delivered(); !slices.Equal(got, []string{p.Stored("before")}) {
		t.Errorf("readers see %q", got)
	}
	p.publish(p.d, s)
	p.expect("before", half+half)
}

// meanwhile is a reader of no octets that calls the function, in another goroutine, and
// returns its error.
type meanwhile func() error

func (m meanwhile) Read([]byte) (int, error) {
	done := make(chan error)
	go func() { done <- m() }()
	if err := <-done; err != nil {
		return 0, err
	}
	return 0, io.EOF
}

// testRecoverBeforePublish: a process that was killed with a recorded intent leaves the
// message to Recover, which delivers it or has it fetched again.
func testRecoverBeforePublish(t *testing.T, p *place) {
	const text = "Subject: x\r\n\r\n"
	s := p.stage(p.d, text)
	if err := errors.Join(p.d.Prepare(t.Context(), []deliver.Staged{s})...); err != nil {
		t.Fatal(err)
	}
	in := s.Intent()
	outcome, err := p.Recover(t.Context(), in)
	if err != nil {
		t.Fatalf("Recover: %v", err)
	}
	switch outcome {
	case deliver.Again, deliver.Behind:
		if got := p.Delivered(); len(got) > 0 {
			t.Errorf("Recover has the message fetched again, and readers see %q", got)
		}
		other := p.Open()
		t.Cleanup(func() { other.Close() })
		p.publish(other, p.stage(other, text))
		if err := s.Abort(); err != nil { // where the test is both processes
			t.Errorf("abort: %v", err)
		}
	case deliver.Redone:
		// A crash before that is recorded leaves the intent open.
		if outcome, err := p.Recover(t.Context(), in); outcome != deliver.Published || err != nil {
			t.Errorf("second Recover = %v, %v, want %v", outcome, err, deliver.Published)
		}
	default:
		t.Errorf("Recover = %v before Publish", outcome)
	}
	p.expect(text)
}

// testRecoverAfterPublish: a process that was killed before it recorded the delivery leaves
// an intent of a delivered message.
func testRecoverAfterPublish(t *testing.T, p *place) {
	s := p.stage(p.d, "x")
	group := []deliver.Staged{s}
	if err := errors.Join(p.d.Prepare(t.Context(), group)...); err != nil {
		t.Fatal(err)
	}
	in := s.Intent()
	if err := errors.Join(p.d.Publish(t.Context(), group)...); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		outcome, err := p.Recover(t.Context(), in)
		if err != nil || p.d.Recoverable() && outcome != deliver.Published || !p.d.Recoverable() && outcome != deliver.Again {
			t.Errorf("Recover = %v, %v, of a Destination with Recoverable() = %v", outcome, err, p.d.Recoverable())
		}
	}
	p.expect("x")
}

func testClose(t *testing.T, p *place) {
	for range 2 {
		if err := p.d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}
