package cli

import (
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"popfetch/fetch"
)

// bars shows a person how the polls go: one line for each account that is
// receiving, and below it nothing. Words have to be written through it while it
// is open. A nil *bars shows nothing.
type bars struct{ progress *mpb.Progress }

func newBars(w io.Writer) *bars {
	return &bars{mpb.New(mpb.WithOutput(w), mpb.WithWidth(40), mpb.WithAutoRefresh())}
}

func (b *bars) Write(text []byte) (int, error) { return b.progress.Write(text) }

// close waits until everything is written. All polls must have ended.
func (b *bars) close() {
	b.progress.Wait()
}

// of returns the line of one account.
func (b *bars) of(account string) fetch.Progress {
	if b == nil {
		return nil
	}
	return &bar{bars: b, account: account}
}

// bar is a fetch.Progress. It tells the library of progress at intervals: a
// message to another goroutine for each few octets would cost more than they do.
type bar struct {
	bars    *bars
	account string

	bar   *mpb.Bar
	held  int
	shown time.Time
}

func (b *bar) Start(messages int, octets int64) {
	b.bar = b.bars.progress.New(max(octets, 1),
		mpb.BarStyle(),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(b.account, decor.WCSyncSpaceR), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5})),
	)
	b.held, b.shown = 0, time.Now()
}

func (b *bar) Received(n int) {
	b.held += n
	if b.held < 256<<10 && time.Since(b.shown) < 100*time.Millisecond {
		return
	}
	b.bar.IncrBy(b.held)
	b.held, b.shown = 0, time.Now()
}

func (b *bar) End() { b.bar.Abort(true) }
