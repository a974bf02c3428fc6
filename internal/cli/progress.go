package cli

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/term"

	"popfetch/fetch"
)

// progress counts the accounts that are receiving, and shows on a terminal what the polls
// are doing: a line for each, as many as there is room for, or on a terminal that cannot
// move its cursor a line at the beginning of each download. Everything else that goes to
// the terminal has to be written through it. The zero value only counts.
type progress struct {
	active atomic.Int32
	plain  io.Writer // of a terminal that cannot move its cursor; nil = none
	screen *screen   // nil = none
	stop   func()    // ends the drawing

	mu    sync.Mutex
	lines []*progressLine // of the polls under way, the first that began first
	total int             // polls that the run will have made in the end; 0 = there is no end
	done  int             // of these
}

// showProgress returns a progress that is shown on a terminal until close.
func showProgress(terminal *os.File) *progress {
	p := new(progress)
	if name := os.Getenv("TERM"); name == "" || name == "dumb" {
		p.plain = terminal
		return p
	}
	p.screen = &screen{w: terminal, size: func() (int, int) { return sizeOf(terminal) }, lines: p.show}
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	end, ended := make(chan struct{}), make(chan struct{})
	p.stop = sync.OnceFunc(func() {
		close(end)
		<-ended
		signal.Stop(continued)
		p.screen.close()
	})
	go func() {
		defer close(ended)
		tick := time.NewTicker(redrawEvery)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-continued: // a shell has written since
				p.screen.forget()
			case <-tick.C:
				p.screen.redraw()
			}
		}
	}()
	return p
}

// sizeOf returns the size of a terminal, the usual one if it does not know that.
func sizeOf(terminal *os.File) (columns, rows int) {
	columns, rows, err := term.GetSize(int(terminal.Fd()))
	if err != nil || columns <= 0 || rows <= 0 {
		return 80, 24
	}
	return columns, rows
}

// Write writes above the lines that are shown.
func (p *progress) Write(text []byte) (int, error) {
	if p.screen != nil {
		return p.screen.Write(text)
	}
	return p.plain.Write(text)
}

// close takes the lines away. What is written later goes straight to the terminal.
func (p *progress) close() {
	if p.stop != nil {
		p.stop()
	}
}

// yield takes the lines away while somebody else uses the terminal.
func (p *progress) yield(other bool) {
	if p.screen != nil {
		p.screen.yield(other)
	}
}

// visible reports whether the polls are shown at all.
func (p *progress) visible() bool { return p.screen != nil || p.plain != nil }

// receiving reports whether any account is receiving messages.
func (p *progress) receiving() bool { return p.active.Load() > 0 }

// expect says how many more polls the run will make.
func (p *progress) expect(polls int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = p.done + polls
}

// of returns the line of one account.
func (p *progress) of(account string) *progressLine {
	return &progressLine{all: p, account: account}
}

// show returns the lines of the polls under way, those that receive first if there is not
// room for all, and below them what there is beside them.
func (p *progress) show(columns, rows int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lines) == 0 {
		return nil
	}
	lines, room := slices.Clone(p.lines), rows
	if p.total > 1 || len(lines) > rows {
		room = max(1, rows-1)
	}
	if len(lines) > room {
		receives := slices.DeleteFunc(slices.Clone(lines), func(l *progressLine) bool { return l.stage != fetch.Receiving })
		others := slices.DeleteFunc(lines, func(l *progressLine) bool { return l.stage == fetch.Receiving })
		lines = slices.Concat(receives, others)[:room]
	}
	width := 0
	for _, l := range lines {
		width = max(width, len(l.account))
	}
	width = min(width, max(narrowest, columns/4-1))
	now := time.Now()
	var text []string
	for _, l := range lines {
		text = append(text, l.text(width, columns, now))
	}
	if rows > room {
		text = append(text, fit(p.summary(len(p.lines)-len(lines)), columns))
	}
	return text
}

// summary is the line below the others.
func (p *progress) summary(hidden int) string {
	text := fmt.Sprintf("%s being polled", accountsInWords(len(p.lines)))
	if hidden > 0 {
		text += fmt.Sprintf(" (%d not shown)", hidden)
	}
	if p.total > 0 {
		text = fmt.Sprintf("%d of %d done, %s", p.done, p.total, text)
	}
	return text
}

// progressLine is the fetch.Progress of one account.
type progressLine struct {
	all     *progress
	account string

	octets, messages atomic.Int64 // done

	// all.mu guards these.
	stage  fetch.Stage
	polled bool      // a poll is under way
	since  time.Time // it is at this stage
	of     struct {
		messages int
		octets   int64 // 0 = unknown
	}
	rate rate
}

// Stage implements fetch.Progress, as do the methods below it.
func (l *progressLine) Stage(s fetch.Stage) {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	if !l.polled {
		l.polled = true
		l.all.lines = append(l.all.lines, l)
	}
	l.enter(s)
}

func (l *progressLine) enter(s fetch.Stage) {
	switch {
	case l.stage != fetch.Receiving && s == fetch.Receiving:
		l.all.active.Add(1)
	case l.stage == fetch.Receiving && s != fetch.Receiving:
		l.all.active.Add(-1)
	}
	l.stage, l.since = s, time.Now()
}

func (l *progressLine) Start(n int, octets int64) {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	l.octets.Store(0)
	l.messages.Store(0)
	l.of.messages, l.of.octets = n, octets
	l.rate = rate{at: time.Now(), moved: time.Now()}
	if l.all.plain != nil {
		fmt.Fprintf(l.all.plain, "popfetch: %s: receiving %s (%s)\n", l.account, messages(n), size(octets))
	}
}

func (l *progressLine) Received(n int) { l.octets.Add(int64(n)) }

func (l *progressLine) Message() { l.messages.Add(1) }

func (l *progressLine) End() {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	l.leave()
	l.all.done++
}

// leave takes the line away.
func (l *progressLine) leave() {
	l.enter(fetch.Connecting)
	l.polled = false
	l.all.lines = slices.DeleteFunc(l.all.lines, func(other *progressLine) bool { return other == l })
}
