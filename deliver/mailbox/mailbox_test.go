package mailbox

import (
	"context"
	"os"
	"strings"
	"testing"

	"popfetch/deliver"
	"popfetch/deliver/delivertest"
)

// sent is how a message arrives: with CRLF in place of a bare LF, and without a NUL.
func sent(wire string) string {
	text := strings.ReplaceAll(strings.ReplaceAll(wire, "\r\n", "\n"), "\n", "\r\n")
	if text == "" {
		return "\r\n"
	}
	return strings.ReplaceAll(text, "\x00", "\x80")
}

func TestConformance(t *testing.T) {
	const piecemeal = "IMAP4rev1 LITERAL+ MULTIAPPEND" // against RFC 3502 section 6.3.11
	for _, caps := range []string{
		"IMAP4rev1", "IMAP4rev1 LITERAL- UIDPLUS", "IMAP4rev1 LITERAL+", "IMAP4rev1 LITERAL+ UIDPLUS",
		"IMAP4rev1 LITERAL+ UIDPLUS MULTIAPPEND", "IMAP4rev1 LITERAL- MULTIAPPEND", piecemeal,
	} {
		t.Run(caps, func(t *testing.T) {
			delivertest.Run(t, func(t *testing.T) delivertest.Fixture {
				r := newReceiver(t)
				r.caps, r.piecemeal = caps, caps == piecemeal
				spoolDir := t.TempDir()
				open := func() *Mailbox {
					d := r.mailbox()
					d.Spool = spoolDir
					return d
				}
				return delivertest.Fixture{
					Open: func() deliver.Destination { return open() },
					Recover: func(ctx context.Context, in deliver.Intent) (deliver.Outcome, error) {
						return open().Recover(ctx, in)
					},
					Faults:    r.Faults(func(step string) bool { return step != "LOGOUT" }),
					Stored:    sent,
					Delivered: func() []string { return r.delivered("INBOX") },
					Leftovers: func() []string {
						files, err := os.ReadDir(spoolDir)
						if err != nil {
							t.Fatal(err)
						}
						var names []string
						for _, f := range files {
							names = append(names, f.Name())
						}
						return names
					},
				}
			})
		})
	}
}
