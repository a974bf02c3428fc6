package cli

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"popfetch/internal/control"
)

const (
	// watchEvery is the time after which a client that watches is sent what has changed.
	watchEvery = redrawEvery
	// mostWatchedLines is how many lines of the log wait for a client. The oldest are
	// dropped if it does not read them in time: no poll waits for it.
	mostWatchedLines = 4000
)

// watches are the clients that watch accounts of this process.
type watches struct {
	any atomic.Bool // there are some
	mu  sync.RWMutex
	all []*watch
}

// watch is what one client wants to see of its accounts and was not sent yet.
type watch struct {
	level    slog.Level
	accounts map[string]bool

	mu     sync.Mutex
	lines  []control.LogLine
	lost   int           // lines that were dropped since
	filled chan struct{} // has an element when the lines should be sent soon
}

// add makes a client see the lines about accounts until remove.
func (ws *watches) add(level slog.Level, accounts []string) *watch {
	w := &watch{level: level, accounts: make(map[string]bool, len(accounts)), filled: make(chan struct{}, 1)}
	for _, name := range accounts {
		w.accounts[name] = true
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.all = append(ws.all, w)
	ws.any.Store(true)
	return w
}

func (ws *watches) remove(w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.all = slices.DeleteFunc(ws.all, func(other *watch) bool { return other == w })
	ws.any.Store(len(ws.all) > 0)
}

// each calls fn for those that want to see a line of a level about an account.
func (ws *watches) each(level slog.Level, account string, fn func(*watch)) {
	if !ws.any.Load() || account == "" {
		return
	}
	ws.mu.RLock()
	defer ws.mu.RUnlock()
	for _, w := range ws.all {
		if level >= w.level && w.accounts[account] {
			fn(w)
		}
	}
}

func (w *watch) put(l control.LogLine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lines) == mostWatchedLines {
		w.lines = w.lines[1:]
		w.lost++
	}
	w.lines = append(w.lines, l)
	if len(w.lines) > mostWatchedLines/2 {
		select {
		case w.filled <- struct{}{}:
		default:
		}
	}
}

// take returns what is to be sent now.
func (w *watch) take() (lines []control.LogLine, lost int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines, lost = w.lines, w.lost
	w.lines, w.lost = nil, 0
	return lines, lost
}

// watchedLog is a slog.Handler that passes records on, and shows those about an account to
// the clients that watch it.
type watchedLog struct {
	slog.Handler
	watches *watches
	account string
	attrs   []control.Attr
}

func (h *watchedLog) Enabled(ctx context.Context, level slog.Level) bool {
	enabled := h.Handler.Enabled(ctx, level)
	if !enabled {
		h.watches.each(level, h.account, func(*watch) { enabled = true })
	}
	return enabled
}

func (h *watchedLog) Handle(ctx context.Context, r slog.Record) (err error) {
	if h.Handler.Enabled(ctx, r.Level) {
		err = h.Handler.Handle(ctx, r)
	}
	h.watches.each(r.Level, h.account, func(w *watch) {
		l := control.LogLine{Account: h.account, Time: r.Time, Level: int(r.Level), Text: r.Message, Attrs: slices.Clone(h.attrs)}
		r.Attrs(func(a slog.Attr) bool {
			l.Attrs = append(l.Attrs, travelling(a))
			return true
		})
		w.put(l)
	})
	return err
}

func (h *watchedLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.Handler, with.attrs = h.Handler.WithAttrs(attrs), slices.Clone(h.attrs)
	for _, a := range attrs {
		if a.Key == "account" {
			with.account = a.Value.String()
			continue
		}
		with.attrs = append(with.attrs, travelling(a))
	}
	return &with
}

// WithGroup ignores the group: popfetch uses none.
func (h *watchedLog) WithGroup(string) slog.Handler { return h }

// travelling is an attribute as it is sent to a client.
func travelling(a slog.Attr) control.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindBool:
		return control.Attr{Key: a.Key, Value: v.Any()}
	}
	return control.Attr{Key: a.Key, Value: v.String()}
}

// show sends a client what goes on in the polls of the named accounts until done is called,
// which sends what is left. answer is called by one goroutine at a time, and so is the
// function that it returns, before which the lines of the log are sent.
func (con *console) show(r *control.Watch, names []string, answer func(control.Answer)) (inOrder func(control.Answer), done func()) {
	if r == nil {
		return answer, func() {}
	}
	w := con.watches.add(slog.Level(r.Level), names)
	var mu sync.Mutex // held during answer
	var shown []control.Progress
	send := func() {
		now := control.Watched{}
		changed := false
		if now.Log, now.Lost = w.take(); len(now.Log) > 0 {
			changed = true
		}
		if r.Progress {
			now.Progress = con.progress.ofAccounts(w.accounts)
			changed = changed || !slices.Equal(now.Progress, shown)
			shown = now.Progress
		}
		if changed {
			answer(control.Answer{Watched: &now})
		}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			case <-w.filled:
			}
			mu.Lock()
			send()
			mu.Unlock()
		}
	}()
	inOrder = func(a control.Answer) {
		mu.Lock()
		defer mu.Unlock()
		send()
		answer(a)
	}
	return inOrder, func() {
		con.watches.remove(w)
		close(end)
		<-ended
		send()
	}
}
