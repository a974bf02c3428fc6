package mailbox

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
)

func TestFolderThatIsMissingIsMade(t *testing.T) {
	for _, x := range []struct{ folder, caps, makes string }{
		{"Archive/2026", "IMAP4rev1", `CREATE "Archive/2026"`},
		{"Entwürfe & Ablage", "IMAP4rev1", `CREATE "Entw&APw-rfe &- Ablage"`},
		{`\Junk`, "IMAP4rev1", `CREATE "Junk"`},
		{`\Junk`, "IMAP4rev1 CREATE-SPECIAL-USE", `CREATE "Junk" (USE (\Junk))`},
	} {
		r := newReceiver(t)
		r.caps = x.caps
		d := r.mailbox()
		d.Folder = x.folder
		if errs := deliverAll(t, d, "a"); errs != nil {
			t.Fatal(errs)
		}
		if errs := deliverAll(t, d, "b"); errs != nil {
			t.Fatal(errs)
		}
		d.Close()
		made := r.commands("CREATE")
		if !slices.Equal(made, []string{x.makes}) || len(r.commands("SUBSCRIBE")) != 1 {
			t.Errorf("%s: sent %q, want %q", x.folder, made, x.makes)
			continue
		}
		if got := r.delivered(unquote(made[0])); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("%q arrived", got)
		}
	}
}

func TestSpecialUseNamesTheFolderOfTheServer(t *testing.T) {
	for _, caps := range []string{"IMAP4rev1", "IMAP4rev1 SPECIAL-USE LIST-EXTENDED"} {
		r := newReceiver(t)
		r.caps = caps
		r.boxes["[Gmail]/Spam"] = &box{validity: 3, next: 1, use: `\HasNoChildren \Junk`}
		d := r.mailbox()
		d.SpamFolder = `\Junk`
		if errs := deliverAll(t, d, "Subject: wanted\r\n\r\n", "X-Spam-Flag: YES\r\n\r\n", "X-Spam-Status: Yes, score=9\r\n\r\n", "X-Spam: yes\r\n\r\n", "X-Spam-Status: No\r\n\r\n"); errs != nil {
			t.Fatal(errs)
		}
		d.Close()
		if in, spam := r.delivered("INBOX"), r.delivered("[Gmail]/Spam"); len(in) != 2 || len(spam) != 3 || len(r.commands("CREATE")) > 0 {
			t.Errorf("%q and %q", in, spam)
		}
	}
}

// A folder that is removed while popfetch delivers is made again, once.
func TestFolderThatIsRemovedMeanwhile(t *testing.T) {
	r := newReceiver(t)
	d := r.mailbox()
	defer d.Close()
	d.Folder = "Work"
	if errs := deliverAll(t, d, "a"); errs != nil {
		t.Fatal(errs)
	}
	r.Lock()
	delete(r.boxes, "Work")
	r.Unlock()
	if errs := deliverAll(t, d, "b", "c"); errs != nil {
		t.Fatal(errs)
	}
	if got := r.delivered("Work"); !slices.Equal(got, []string{"b", "c"}) || len(r.commands("CREATE")) != 2 {
		t.Errorf("%q arrived after %q", got, r.commands("CREATE"))
	}
}

func TestFolderThatCannotBeMade(t *testing.T) {
	r := newReceiver(t)
	d := r.mailbox()
	defer d.Close()
	d.Folder = "Work"
	r.Answers("CREATE", "NO [NOPERM] not yours")
	// The receiver makes it all the same, so that STATUS must fail too.
	errs := deliverAll(t, d, "a")
	var e *deliver.Error
	if len(errs) != 1 || !errors.As(errs[0], &e) || e.Scope != deliver.Place || e.Temporary || !strings.Contains(e.Error(), "not yours") || e.Hint == "" {
		t.Errorf("got %v", errs)
	}
}

func TestFlagsAndDateGoWithTheMessage(t *testing.T) {
	r := newReceiver(t)
	d := r.mailbox()
	defer d.Close()
	d.Flags = []string{`\Seen`, "$Fetched"}
	if errs := deliverAll(t, d, "Date: Thu, 1 Oct 2026 10:00:00 +0200\r\n\r\n", "x"); errs != nil {
		t.Fatal(errs)
	}
	m := r.boxes["INBOX"].messages
	if m[0].flags != `\Seen $Fetched` || m[0].date != " 1-Oct-2026 10:00:00 +0200" {
		t.Errorf("%+v", m[0])
	}
	if sent, err := time.Parse("_2-Jan-2006 15:04:05 -0700", m[1].date); err != nil || !sent.Equal(time.Unix(1e9, 0)) {
		t.Errorf("a message without a date has %q", m[1].date)
	}
}

func TestInternalDate(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	sent := now.Add(-time.Minute)
	const right = "Thu, 01 Oct 2026 10:00:00 +0000"
	for head, want := range map[string]time.Time{
		"Date: " + right + "\r\n\r\n":                                time.Date(2026, 10, 1, 10, 0, 0, 0, time.UTC),
		"Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n\r\n":              sent,
		"Date: Thu, 01 Oct 2099 10:00:00 +0000\r\n\r\n":              sent,
		"Date: yesterday\r\nReceived: from a; " + right + "\r\n\r\n": time.Date(2026, 10, 1, 10, 0, 0, 0, time.UTC),
		"Received: by x (popfetch 1) id 1; " + right + "\r\n\r\n":    sent,
		"Received: from a; when?\r\n\r\n":                            sent,
		"":                                                           sent,
	} {
		if got := internalDate([]byte(head), sent, now); !got.Equal(want) {
			t.Errorf("%q: %v, want %v", head, got, want)
		}
	}
}

func TestCheckChangesNothing(t *testing.T) {
	r := newReceiver(t)
	r.caps += " APPENDLIMIT=35651584"
	d := r.mailbox()
	defer d.Close()
	d.Folder = "Work"
	found, err := d.Check(t.Context())
	if err != nil || found != (Found{Folder: "Work", Limit: 0}) && found != (Found{Folder: "Work", Limit: 35651584}) || len(r.commands("CREATE"))+len(r.commands("APPEND")) > 0 {
		t.Errorf("%+v, %v; sent %q", found, err, r.lines)
	}
}
