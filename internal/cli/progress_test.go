package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"popfetch/fetch"
)

// receiving returns the progress of an account that receives 40 messages, 100 MiB, at 1 MiB a
// second, and of one that is logging in.
func receiving(t *testing.T) *progress {
	t.Helper()
	p := new(progress)
	work, home := p.of("work"), p.of("a-long-name@example.org")
	home.Stage(fetch.Connecting)
	work.Stage(fetch.Connecting)
	home.Stage(fetch.LoggingIn)
	work.Stage(fetch.Receiving)
	work.Start(40, 100<<20)
	for range 30 {
		time.Sleep(time.Second)
		work.Received(1 << 20)
		p.show(80, 24)
	}
	for range 12 {
		work.Message()
	}
	return p
}

func TestProgressAtUsualWidths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := receiving(t)
		for columns, want := range map[int][]string{
			99: {
				"a-long-name@example.org  logging in, for 30 s",
				"work                     [===>      ]    12/40  30.0 of 100.0 MiB    30%    1.0 MiB/s  1 min left",
			},
			79: {
				"a-long-name@examp~  logging in, for 30 s",
				"work                  12/40  30.0 of 100.0 MiB    30%    1.0 MiB/s  1 min left",
			},
			39: {
				"a-long-name~  logging in, for 30 s",
				"work          12/40   30%  1.0 MiB/s",
			},
			15: {
				"a-long-name~",
				"work",
			},
		} {
			got := p.show(columns, 24)
			if !slices.Equal(got, want) {
				t.Errorf("at %d columns\n%s\nwant\n%s", columns, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	})
}

func TestProgressIsNeverLargerThanTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := receiving(t)
		for i := range 50 {
			l := p.of(fmt.Sprintf("account%d", i))
			l.Stage(fetch.Connecting)
			if i%3 == 0 {
				l.Stage(fetch.Receiving)
				l.Start(1<<20, int64(i)<<40) // some do not know the size
				l.Received(1 << 30)
			}
		}
		p.expect(60)
		for columns := 1; columns < 130; columns++ {
			for rows := 1; rows < 60; rows++ {
				lines := p.show(columns, rows)
				if len(lines) == 0 || len(lines) > rows {
					t.Fatalf("%d lines for %d rows", len(lines), rows)
				}
				for _, line := range lines {
					if len(line) > columns || strings.ContainsAny(line, "\x1b\n") {
						t.Fatalf("%d columns: %q", columns, line)
					}
				}
			}
		}
		// Those that receive are shown first.
		lines := p.show(80, 10)
		if len(lines) != 10 || lines[9] != "0 of 60 done, 52 accounts being polled (43 not shown)" {
			t.Errorf("%q", lines)
		}
		for _, line := range lines[:9] {
			if strings.Contains(line, "connecting") {
				t.Errorf("%q is shown in place of an account that receives", line)
			}
		}
	})
}

// A server that sends nothing must not look as if it were busy.
func TestProgressSaysThatNothingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := receiving(t)
		time.Sleep(20 * time.Second)
		if text := strings.Join(p.show(99, 24), "\n"); !strings.Contains(text, "nothing for 20 s") {
			t.Errorf("it shows\n%s", text)
		}
	})
}

func TestAccountIsNoLongerShownWhenItsPollHasEnded(t *testing.T) {
	p := new(progress)
	p.expect(2)
	l := p.of("work")
	for range 2 {
		l.Stage(fetch.Connecting)
		l.Stage(fetch.Receiving)
		if !p.receiving() || len(p.show(80, 24)) != 2 {
			t.Errorf("%v, %q", p.receiving(), p.show(80, 24))
		}
		l.Stage(fetch.Receiving) // a second visit
		l.End()
		if p.receiving() || len(p.show(80, 24)) != 0 {
			t.Errorf("%v, %q", p.receiving(), p.show(80, 24))
		}
	}
	if p.done != 2 {
		t.Errorf("%d done", p.done)
	}
}
