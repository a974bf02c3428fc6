package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"popfetch/fetch/pop3"
)

func TestLevels(t *testing.T) {
	for _, x := range []struct {
		verbose int
		quiet   bool
		want    string
	}{
		{0, false, "warn error"},
		{1, false, "debug info warn error"},
		{2, false, "trace debug info warn error"},
		{3, false, "trace debug info warn error"},
		{0, true, "error"},
		{2, true, "error"}, // quiet wins
	} {
		log := newLog(new(bytes.Buffer), logStyle{}, level(x.verbose, x.quiet))
		var got []string
		for _, l := range []struct {
			name  string
			level slog.Level
		}{{"trace", pop3.LevelTrace}, {"debug", slog.LevelDebug}, {"info", slog.LevelInfo}, {"warn", slog.LevelWarn}, {"error", slog.LevelError}} {
			if log.Enabled(context.Background(), l.level) {
				got = append(got, l.name)
			}
		}
		if strings.Join(got, " ") != x.want {
			t.Errorf("-v %d times, quiet %v: %q, want %q", x.verbose, x.quiet, got, x.want)
		}
	}
}

func TestWords(t *testing.T) {
	var b bytes.Buffer
	log := newLog(&b, logStyle{}, slog.LevelDebug)
	log.Info("plain")
	log.With("account", "work").Info("delivered", "num", 3, "uid", "a-1")
	log.With("uid", "a").With("account", "work").Warn("odd", "reason", errors.New("the server said no"))
	log.Debug("values", "none", "", "quote", `a"b`, "equals", "a=b", "umlaut", "ü", "nil", nil)
	log.Error("hostile", "text", "\x1b]0;owned\a\npopfetch: all is well\u009b2J\xff")
	log.WithGroup("g").Info("grouped", "a", 1)
	const want = `popfetch: plain
popfetch: work: delivered num=3 uid=a-1
popfetch: work: warn: odd uid=a reason="the server said no"
popfetch: values none="" quote="a\"b" equals="a=b" umlaut="ü" nil=<nil>
popfetch: error: hostile text="\x1b]0;owned\a\npopfetch: all is well\u009b2J\xff"
popfetch: grouped a=1
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

// A derived handler does not change its parent.
func TestWordsKeepTheirAttributes(t *testing.T) {
	var b bytes.Buffer
	log := newLog(&b, logStyle{}, slog.LevelInfo)
	one := log.With("account", "one", "a", 1)
	one.With("b", 2).Info("x")
	one.With("c", 3).Info("x")
	log.Info("x")
	const want = "popfetch: one: x a=1 b=2\npopfetch: one: x a=1 c=3\npopfetch: x\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

// chunks fails the test unless each Write is one whole line.
type chunks struct {
	t *testing.T
	b bytes.Buffer
}

func (c *chunks) Write(p []byte) (int, error) {
	if bytes.Count(p, []byte("\n")) != 1 || !bytes.HasSuffix(p, []byte("\n")) {
		c.t.Errorf("one write of %q", p)
	}
	return c.b.Write(p)
}

func TestLinesOfManyAccountsStayWhole(t *testing.T) {
	out := &chunks{t: t}
	log := newLog(out, logStyle{}, slog.LevelInfo)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			mine := log.With("account", fmt.Sprint("account", i))
			for range 50 {
				mine.Info("delivered", "uid", "x y")
			}
		})
	}
	all.Wait()
	for line := range strings.Lines(out.b.String()) {
		if !strings.HasPrefix(line, "popfetch: account") || !strings.HasSuffix(line, ": delivered uid=\"x y\"\n") {
			t.Errorf("%q", line)
		}
	}
}

func TestLogForPrograms(t *testing.T) {
	var b bytes.Buffer
	newLog(&b, logStyle{json: true}, slog.LevelInfo).With("account", "work").Info("delivered", "uid", "\x1b")
	var line map[string]any
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || line["msg"] != "delivered" || line["account"] != "work" || line["uid"] != "\x1b" {
		t.Errorf("%q: %v", b.String(), err)
	}
}

func TestQuoteUnlessPlain(t *testing.T) {
	for given, want := range map[string]string{
		"Grüße, 世界":       "Grüße, 世界",
		"":                "",
		`a\b`:             `"a\\b"`,
		`say "hi"`:        `"say \"hi\""`,
		"\x1b[2J":         `"\x1b[2J"`,
		"a\nb":            `"a\nb"`,
		"\u009b2J":        `"\u009b2J"`,
		"\xff":            `"\xff"`,
		"\u202ereversed":  `"\u202ereversed"`,
		"\u200bno width":  `"\u200bno width"`,
		"non\u00a0break":  `non` + "\u00a0" + `break`,
		"tab\there":       `"tab\there"`,
		"del\x7f":         `"del\x7f"`,
		"\U000e0001 tags": `"\U000e0001 tags"`,
	} {
		if got := quoteUnlessPlain(given); got != want {
			t.Errorf("%q: %s, want %s", given, got, want)
		}
	}
}
