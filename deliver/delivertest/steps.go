package delivertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"popfetch/deliver"
)

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

func testClose(t *testing.T, p *place) {
	for range 2 {
		if err := p.d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}
