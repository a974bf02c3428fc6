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

// logStyle is how the lines of a log look; the zero value is words for people.
type logStyle struct {
	json    bool
	journal bool // words with a priority, for the journal of systemd
}

// newLog returns a log that writes to w.
func newLog(w io.Writer, style logStyle, level slog.Level) *slog.Logger {
	if style.json {
		return slog.New(slog.NewJSONHandler(plainJSON{w}, &slog.HandlerOptions{Level: level, ReplaceAttr: nameNotice}))
	}
	return slog.New(&words{out: &lineWriter{w: w}, level: level, journal: style.journal})
}

// nameNotice gives levelNotice a name.
func nameNotice(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.LevelKey && a.Value.Any() == levelNotice {
		a.Value = slog.StringValue("NOTICE")
	}
	return a
}

// words is a slog.Handler for people. It writes one line for each record, which
// begins with "popfetch: ", or for the journal with its priority, and the account.
type words struct {
	out     *lineWriter
	level   slog.Level
	journal bool
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
	b.WriteString(linePrefix(h.journal, r.Level))
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
