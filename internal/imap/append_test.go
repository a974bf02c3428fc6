package imap

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// message is a message to store.
func message(text string) Append {
	date := time.Date(2026, 10, 1, 10, 0, 0, 0, time.FixedZone("", 7200))
	return Append{Folder: "INBOX", Flags: []string{`\Seen`}, Date: date, Size: int64(len(text)), Text: strings.NewReader(text)}
}

// RFC 3502 section 6.3.11, with the literals of RFC 7888 and the UIDs of RFC 4315.
func TestSeveralMessagesInOneCommand(t *testing.T) {
	const arguments = ` (\Seen) " 1-Oct-2026 10:00:00 +0200" `
	c := dial(t, server(t, begun("IMAP4rev1 LITERAL+ UIDPLUS MULTIAPPEND",
		`C: %s APPEND "INBOX"`+arguments+`{1+}`, "C: a"+arguments+"{2+}", "C: bc"+arguments+"{3+}", "C: def",
		"S: * 3 EXISTS", "S: %s OK [APPENDUID 38505 3956,3958:3959] done")...))
	results := c.Append([]Append{message("a"), message("bc"), message("def")})
	if want := []Appended{{UIDValidity: 38505, UID: 3956}, {UIDValidity: 38505, UID: 3958}, {UIDValidity: 38505, UID: 3959}}; !slices.Equal(results, want) {
		t.Errorf("got %v, want %v", results, want)
	}
}

func TestLiteralThatHasToWaitSharesNoCommand(t *testing.T) {
	const arguments = ` (\Seen) " 1-Oct-2026 10:00:00 +0200" `
	c := dial(t, server(t, begun("IMAP4rev1 MULTIAPPEND",
		`C: %s APPEND "INBOX"`+arguments+`{1}`, "S: + go on", "C: a",
		`C: %s APPEND "INBOX"`+arguments+`{1}`, "S: p2 OK done", "S: + go on", "C: b", "S: %s OK done")...))
	for i, r := range c.Append([]Append{message("a"), message("b")}) {
		if r.Err != nil {
			t.Errorf("message %d: %v", i, r.Err)
		}
	}
}

func TestUIDsOfAnotherNumberOfMessagesAreNotTheirs(t *testing.T) {
	for set, want := range map[string][]uint32{
		"4:6":                              {4, 5, 6},
		"9,1:2":                            {9, 1, 2},
		"4:5":                              {0, 0, 0},
		"4:7":                              {0, 0, 0},
		"1,2,3,4":                          {0, 0, 0},
		"6:4":                              {0, 0, 0},
		"1:4294967295":                     {0, 0, 0},
		"4294967295,4294967294:4294967295": {4294967295, 4294967294, 4294967295},
		"x,1,2":                            {0, 0, 0},
		"":                                 {0, 0, 0},
	} {
		uids := make([]uint32, 3)
		if expand(set, uids); !slices.Equal(uids, want) {
			t.Errorf("%q: got %d, want %d", set, uids, want)
		}
	}
}
