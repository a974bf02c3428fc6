package delivertest

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"popfetch/deliver"
)

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
