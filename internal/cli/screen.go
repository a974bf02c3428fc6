package cli

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
)

// screen keeps a few lines at the bottom of a terminal that change all the time, below
// what is written through it. It is safe for concurrent use.
type screen struct {
	w io.Writer
	// size returns the columns and rows of the terminal.
	size func() (columns, rows int)
	// lines returns the lines to show, at most so many and so wide.
	lines func(columns, rows int) []string

	mu     sync.Mutex
	shown  []string  // above the cursor
	drawn  time.Time // when lines were last asked for
	away   int       // how many others use the terminal: nothing is shown
	closed bool
}

// redrawEvery is the time between two looks at the lines.
const redrawEvery = 150 * time.Millisecond

// Write writes whole lines above those that are shown.
func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out bytes.Buffer
	s.erase(&out)
	out.Write(text)
	// Of many lines in a row some are written without those below them.
	if time.Since(s.drawn) >= redrawEvery {
		s.draw(&out, s.now())
	}
	if _, err := s.w.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// redraw shows the lines as they are now.
func (s *screen) redraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.now()
	if slices.Equal(lines, s.shown) {
		return
	}
	var out bytes.Buffer
	s.erase(&out)
	s.draw(&out, lines)
	_, _ = s.w.Write(out.Bytes()) // what is lost is shown again soon
}

// yield takes the lines away while somebody else uses the terminal.
func (s *screen) yield(other bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !other {
		s.away--
		return
	}
	s.away++
	s.clear()
}

// forget takes the lines for gone: they are somewhere above.
func (s *screen) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = nil
}

// close takes the lines away for good.
func (s *screen) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.clear()
}

func (s *screen) clear() {
	var out bytes.Buffer
	s.erase(&out)
	_, _ = s.w.Write(out.Bytes())
}

// erase moves the cursor to the first line and erases everything from there. A line that is
// longer than the terminal is wide now takes several rows.
func (s *screen) erase(out *bytes.Buffer) {
	if len(s.shown) == 0 {
		return
	}
	columns, _ := s.size()
	rows := 0
	for _, line := range s.shown {
		rows += max(1, (runewidth.StringWidth(line)+columns-1)/columns)
	}
	fmt.Fprintf(out, "\r\x1b[%dA\x1b[J", rows) // ECMA-48: CUU, ED
	s.shown = nil
}

// now returns the lines to show now.
func (s *screen) now() []string {
	s.drawn = time.Now()
	if s.closed || s.away > 0 {
		return nil
	}
	columns, rows := s.size()
	// Half of the rows are for what is written above. Some terminals wrap behind the last
	// column.
	return s.lines(max(1, columns-1), max(1, rows/2))
}

func (s *screen) draw(out *bytes.Buffer, lines []string) {
	for _, line := range lines {
		out.WriteString(line + "\n")
	}
	s.shown = lines
}
