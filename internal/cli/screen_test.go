package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeTerminal obeys what a screen sends.
type fakeTerminal struct {
	t       *testing.T
	columns int
	rows    []string
	y, x    int // of the cursor
}

func (f *fakeTerminal) Write(p []byte) (int, error) {
	text := string(p)
	if !strings.HasSuffix(text, "\n") && !strings.HasSuffix(text, "\x1b[J") && text != "" {
		f.t.Errorf("a write ends within a line: %q", text)
	}
	for text != "" {
		var up int
		switch {
		case strings.HasPrefix(text, "\x1b[J"):
			f.rows = append(f.rows[:f.y], "")
			text = text[3:]
			continue
		case strings.HasPrefix(text, "\x1b["):
			if n, _ := fmt.Sscanf(text, "\x1b[%dA", &up); n != 1 {
				f.t.Fatalf("unknown sequence in %q", text)
			}
			if f.y -= up; f.y < 0 {
				f.t.Fatalf("the cursor is %d rows above the terminal", -f.y)
			}
			text = text[strings.IndexByte(text, 'A')+1:]
			continue
		case text[0] == '\r':
			f.x = 0
		case text[0] == '\n':
			f.y, f.x = f.y+1, 0
		default:
			if f.x == f.columns {
				f.y, f.x = f.y+1, 0
			}
			for len(f.rows) <= f.y {
				f.rows = append(f.rows, "")
			}
			f.rows[f.y] = f.rows[f.y][:min(f.x, len(f.rows[f.y]))] + text[:1]
			f.x++
		}
		for len(f.rows) <= f.y {
			f.rows = append(f.rows, "")
		}
		text = text[1:]
	}
	return len(p), nil
}

func (f *fakeTerminal) shows(want ...string) {
	f.t.Helper()
	if got := f.rows; !slices.Equal(got, append(want, "")) {
		f.t.Errorf("the terminal shows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func newFakeTerminal(t *testing.T, lines func(columns, rows int) []string) (*fakeTerminal, *screen) {
	f := &fakeTerminal{t: t, columns: 40}
	return f, &screen{w: f, size: func() (int, int) { return f.columns, 10 }, lines: lines}
}

func TestLinesOfTheLogStayAboveTheProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := []string{"one", "two"}
		f, s := newFakeTerminal(t, func(int, int) []string { return lines })
		s.redraw()
		f.shows("one", "two")
		for i := range 3 {
			time.Sleep(time.Second)
			fmt.Fprintf(s, "log %d\n", i)
			f.shows(append([]string{"log 0", "log 1", "log 2"}[:i+1], "one", "two")...)
		}
		lines = []string{"three"}
		s.redraw()
		f.shows("log 0", "log 1", "log 2", "three")
		// In a flood the lines come back later.
		time.Sleep(time.Second)
		for i := range 3 {
			fmt.Fprintf(s, "flood %d\n", i)
		}
		f.shows("log 0", "log 1", "log 2", "flood 0", "flood 1", "flood 2")
		s.redraw()
		f.shows("log 0", "log 1", "log 2", "flood 0", "flood 1", "flood 2", "three")
		s.close()
		fmt.Fprintf(s, "end\n")
		s.redraw()
		f.shows("log 0", "log 1", "log 2", "flood 0", "flood 1", "flood 2", "end")
	})
}

// Somebody types a password there.
func TestProgressIsAwayWhileSomebodyElseUsesTheTerminal(t *testing.T) {
	f, s := newFakeTerminal(t, func(int, int) []string { return []string{"one"} })
	s.redraw()
	s.yield(true)
	f.shows()
	s.yield(true)
	s.yield(false)
	fmt.Fprintf(f, "Password: \n")
	s.redraw()
	f.shows("Password: ")
	s.yield(false)
	s.redraw()
	f.shows("Password: ", "one")
}

// A line that was as wide as the terminal has two rows when that becomes narrower.
func TestNarrowerTerminalIsErasedWhole(t *testing.T) {
	long := strings.Repeat("x", 39)
	f, s := newFakeTerminal(t, func(columns, _ int) []string { return []string{long[:columns], "end"} })
	fmt.Fprintf(s, "log\n")
	s.redraw()
	f.shows("log", long, "end")
	f.columns = 20 // and the terminal breaks what it shows
	f.rows = []string{"log", long[:20], long[20:], "end", ""}
	f.y = 4
	s.redraw()
	f.shows("log", long[:19], "end")
}

// After a shell has written, the cursor is somewhere else.
func TestProgressBeginsAnewAfterAShellHasWritten(t *testing.T) {
	f, s := newFakeTerminal(t, func(int, int) []string { return []string{"one"} })
	s.redraw()
	fmt.Fprintf(f, "[1]+ Stopped\n")
	s.forget()
	s.redraw()
	f.shows("one", "[1]+ Stopped", "one")
}
