package cli

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"popfetch/fetch"
)

// progress counts the accounts that are receiving and, if it was made by
// showProgress, shows a line for each of them on a terminal. Everything else
// that goes to the terminal has to be written through it. The zero value only
// counts.
type progress struct {
	active atomic.Int32

	terminal io.Writer
	mu       sync.Mutex    // for display
	display  *mpb.Progress // nil = nothing is shown, or no longer
}

// showProgress returns a progress that is shown on a terminal until close.
func showProgress(terminal io.Writer) *progress {
	return &progress{
		terminal: terminal,
		display:  mpb.New(mpb.WithOutput(terminal), mpb.WithWidth(40), mpb.WithAutoRefresh()),
	}
}

// Write writes above the lines that are shown, if there are any.
func (p *progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.display != nil {
		if n, err := p.display.Write(text); err == nil {
			return n, nil
		}
	}
	return p.terminal.Write(text)
}

// close removes the lines and waits until everything is written. All polls must
// have ended. What is written later goes straight to the terminal.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.display != nil {
		p.display.Wait()
		p.display = nil
	}
}

// receiving reports whether any account is receiving messages.
func (p *progress) receiving() bool { return p.active.Load() > 0 }

// of returns the line of one account.
func (p *progress) of(account string) fetch.Progress {
	return &progressLine{all: p, account: account}
}

// progressLine is the fetch.Progress of one account. It passes progress on at
// intervals: to notify the drawing goroutine of every few octets would cost more than
// to receive them.
type progressLine struct {
	all     *progress
	account string

	bar     *mpb.Bar  // nil = not shown
	pending int       // octets that bar does not show yet
	shown   time.Time // when bar was last changed
}

func (l *progressLine) Start(messages int, octets int64) {
	l.all.active.Add(1)
	if l.all.display == nil {
		return
	}
	l.bar = l.all.display.New(max(octets, 1),
		mpb.BarStyle(),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(l.account, decor.WCSyncSpaceR), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5})),
	)
	l.pending, l.shown = 0, time.Now()
}

func (l *progressLine) Received(n int) {
	if l.bar == nil {
		return
	}
	l.pending += n
	if l.pending < 256<<10 && time.Since(l.shown) < 100*time.Millisecond {
		return
	}
	l.bar.IncrBy(l.pending)
	l.pending, l.shown = 0, time.Now()
}

func (l *progressLine) End() {
	l.all.active.Add(-1)
	if l.bar != nil {
		l.bar.Abort(true)
		l.bar = nil
	}
}
