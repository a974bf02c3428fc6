package delivertest

import (
	"errors"
	"testing"

	"popfetch/deliver"
)

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
