//go:build linux

package cli_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"popfetch/internal/distancetest"
	"popfetch/internal/dovecottest"
)

// startLMTP starts a server that has mail for alice and takes mail for bob.
func startLMTP(t *testing.T) *dovecot {
	t.Helper()
	if reason := dovecottest.MissingLMTP(); reason != "" {
		t.Skip(reason)
	}
	return runDovecot(t, dovecottest.Options{LMTP: true, Certificate: serverCertificate(t), Users: map[string]string{alice: password, bob: password}})
}

// toBob delivers to him by LMTP.
func (d *dovecot) toBob() string {
	return fmt.Sprintf("lmtp = %q\nrecipient = %q", "unix:"+d.LMTP, bob)
}

// stampInside is stampOf below the fields that an LMTP server adds.
var stampInside = regexp.MustCompile(strings.TrimPrefix(stampOf("POP3S").String(), `\A`))

// received takes what the server has added and the stamp from each message, and returns the
// delivery ids too.
func received(t *testing.T, held mailbag) (texts mailbag, ids map[string]int) {
	t.Helper()
	texts, ids = make(mailbag), make(map[string]int)
	id := regexp.MustCompile(` id ([0-9a-f]+)\n`)
	for text, n := range held {
		at := stampInside.FindStringIndex(text)
		if at == nil || !strings.HasPrefix(text, "Return-Path: <") {
			t.Fatalf("no stamp, or no Return-Path:\n%.500s", text)
		}
		texts[text[at[1]:]] += n
		ids[id.FindStringSubmatch(text[at[0]:at[1]])[1]] += n
	}
	return texts, ids
}

// asSent returns the messages as they go out: a lone CR is a line end.
func asSent(held mailbag) mailbag {
	texts := make(mailbag)
	for text, n := range held {
		texts[strings.ReplaceAll(text, "\r", "\n")] += n
	}
	return texts
}

func testLMTP(t *testing.T, bin executable) {
	const n = 1000
	d := startLMTP(t)
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	h := newHome(t, bin)
	h.configure(t, d.account("work", alice, "implicit", "keep = false", d.toBob()))

	var said bytes.Buffer
	check := h.command("check")
	check.Stdout, check.Stderr = &said, &said
	if err := check.Run(); err != nil || !strings.Contains(said.String(), "LMTP server "+d.LMTP+", for "+bob) {
		t.Errorf("check: %v\n%s", err, &said)
	}
	if got := d.holds(t, bob).count(); got != 0 {
		t.Fatalf("check has delivered %d messages", got)
	}
	h.silently(t)
	h.silently(t)
	got, ids := received(t, d.holds(t, bob))
	sameMail(t, "both runs", got, asSent(held))
	if len(ids) != n {
		t.Errorf("%d messages have %d delivery ids", n, len(ids))
	}
	sameMail(t, "the server afterwards", d.holds(t, alice), nil)
	if lines := d.logged("lmtp", "Connect from"); len(lines) > 2 {
		t.Errorf("%d connections for a check and a poll with mail:\n%s", len(lines), lines)
	}
}

// The whole fetch takes at most 1.5 times as long as a client needs that has the mail at hand
// and pipelines the same commands. What the machine takes beside the round trips is the less of
// that the farther the server is: a comparison that fails is made again, twice as far away.
// POPFETCH_TORTURE=1 sends 1,000 messages.
func TestLMTPServerFarAway(t *testing.T) {
	const most, farthest = 1.5, 600 * time.Millisecond
	n := 50
	if os.Getenv("POPFETCH_TORTURE") == "1" {
		n = 1000
	}
	bin := buildPopfetch(t)
	for roundTrip := 20 * time.Millisecond; ; roundTrip *= 2 {
		d := startLMTP(t)
		d.fill(t, alice, n)
		var texts []string
		for text := range d.holds(t, alice) {
			texts = append(texts, strings.ReplaceAll(text, "\n", "\r\n"))
		}
		away := distancetest.To(t, "unix", startLMTP(t).LMTP, roundTrip)
		start := time.Now()
		must(t, dovecottest.SendLMTP(away, bob, texts))
		bare := time.Since(start)

		_, port, err := net.SplitHostPort(distancetest.To(t, "unix", d.LMTP, roundTrip))
		must(t, err)
		h := newHome(t, bin)
		h.configure(t, d.account("work", alice, "implicit", "keep = false", fmt.Sprintf("lmtp = \"127.0.0.1:%s\"\nrecipient = %q", port, bob)))
		start = time.Now()
		h.silently(t)
		own := time.Since(start)
		if got := d.holds(t, bob).count(); got != n {
			t.Fatalf("%d messages arrived, want %d", got, n)
		}
		ratio := own.Seconds() / bare.Seconds()
		if ratio > most && roundTrip < farthest {
			continue
		}
		fmt.Printf("BOUND %d messages from Dovecot to its LMTP server at RTT %v: %.2f s, a bare pipelining client %.2f s, ratio %.2f, at most %.1f\n",
			n, roundTrip, own.Seconds(), bare.Seconds(), ratio, most)
		if ratio > most {
			t.Errorf("ratio %.2f, want at most %.1f", ratio, most)
		}
		return
	}
}

func testLMTPRefuses(t *testing.T, bin executable) {
	d := startLMTP(t)
	d.fill(t, alice, 3)
	held := d.holds(t, alice)
	h := newHome(t, bin)
	h.configure(t, d.account("work", alice, "implicit", "keep = false", fmt.Sprintf("lmtp = %q\nrecipient = \"nobody\"", "unix:"+d.LMTP)))
	h.once(t, 73).says(t, "RCPT TO:<nobody>", "550", "5.1.1", "hint: the key recipient")
	if out, err := h.command("check").CombinedOutput(); err == nil || !strings.Contains(string(out), "5.1.1") {
		t.Errorf("check: %v\n%s", err, out)
	}
	h.configure(t, d.account("work", alice, "implicit", "keep = false", `lmtp = "unix:/nowhere/lmtp"`))
	h.once(t, 73).says(t, "LMTP server /nowhere/lmtp", "hint: is the LMTP server running")
	sameMail(t, "the server", d.holds(t, alice), held)

	h.configure(t, d.account("work", alice, "implicit", "keep = false", d.toBob()))
	h.recovers(t)
	got, _ := received(t, d.holds(t, bob))
	sameMail(t, "bob", got, asSent(held))
}

// testKillInLMTP kills popfetch again and again while it sends. A kill may repeat the one
// message in hand, with its delivery id.
func testKillInLMTP(t *testing.T, bin executable) {
	const n, kills = 200, 10
	d := startLMTP(t)
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	h := newHome(t, bin)
	h.configure(t, d.account("work", alice, "implicit", "keep = false", d.toBob()))
	arrived := func() int {
		names, err := os.ReadDir(filepath.Join(d.Mail, bob, "new"))
		if err != nil {
			return 0 // not there yet
		}
		return len(names)
	}
	h.killOften(t, n, kills, arrived)
	h.silently(t)
	h.silently(t)
	got, ids := received(t, d.holds(t, bob))
	if len(ids) != n || got.count() > n+kills {
		t.Errorf("%d messages with %d delivery ids after %d kills, want at most %d with %d", got.count(), len(ids), kills, n+kills, n)
	}
	t.Logf("%d kills, %d repeats", kills, got.count()-n)
	want := asSent(held)
	for text := range got {
		got[text] = min(got[text], want[text])
	}
	sameMail(t, "all runs", got, want)
	sameMail(t, "the server afterwards", d.holds(t, alice), nil)
}

// killOften kills popfetch again and again while it delivers n messages, whenever some more
// have arrived.
func (h *home) killOften(t *testing.T, n, kills int, arrived func() int) {
	t.Helper()
	for i := range kills {
		p := h.command("--once")
		must(t, p.Start())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			p.Wait()
		}()
		for goal := (i + 1) * n / (kills + 2); arrived() < goal; {
			select {
			case <-ended:
				if got := arrived(); got < goal { // else it was faster than this process
					t.Fatalf("popfetch ended with %d of %d messages: %v", got, goal, p.ProcessState)
				}
			case <-time.After(100 * time.Microsecond):
			}
		}
		p.Process.Kill()
		<-ended
	}
}
