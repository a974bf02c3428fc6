package cli

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"popfetch/fetch/pop3"
)

// level is the lowest level that the log shows. Quiet wins over verbose.
func level(verbose int, quiet bool) slog.Level {
	switch {
	case quiet:
		return slog.LevelError
	case verbose >= 2:
		return pop3.LevelTrace
	case verbose == 1:
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// newLog returns a log that writes to w, in plain words or as JSON.
func newLog(w io.Writer, json bool, level slog.Level) *slog.Logger {
	if json {
		return slog.New(slog.NewJSONHandler(plainJSON{w}, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(&words{out: &lineWriter{w: w}, level: level})
}

// words is a slog.Handler for people. It writes one line for each record, which
// begins with "popfetch: " and the account.
type words struct {
	out     *lineWriter
	level   slog.Level
	account string
	attrs   string
}

// lineWriter keeps lines whole that are written concurrently.
type lineWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (h *words) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *words) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString("popfetch: ")
	if h.account != "" {
		b.WriteString(h.account + ": ")
	}
	if r.Level >= slog.LevelWarn {
		b.WriteString(strings.ToLower(r.Level.String()) + ": ")
	}
	b.WriteString(r.Message + h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		writeAttr(&b, a)
		return true
	})
	b.WriteByte('\n')
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	_, err := io.WriteString(h.out.w, b.String())
	return err
}

func (h *words) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	var b strings.Builder
	for _, a := range attrs {
		if a.Key == "account" {
			with.account = a.Value.String()
			continue
		}
		writeAttr(&b, a)
	}
	with.attrs += b.String()
	return &with
}

// WithGroup ignores the group: popfetch uses none.
func (h *words) WithGroup(string) slog.Handler { return h }

// writeAttr writes one attribute. It quotes and escapes a value that is not a plain
// ASCII word, since many values come from servers.
func writeAttr(b *strings.Builder, a slog.Attr) {
	value := a.Value.Resolve().String()
	plain := value != "" && strings.IndexFunc(value, func(r rune) bool {
		return r <= ' ' || r == '"' || r == '=' || r > '~'
	}) < 0
	if !plain {
		value = strconv.Quote(value)
	}
	b.WriteString(" " + a.Key + "=" + value)
}
