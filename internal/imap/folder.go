package imap

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Status is what STATUS and EXAMINE tell of a folder. RFC 9051 section 2.3.1.1
type Status struct {
	UIDValidity uint32
	UIDNext     uint32 // no message has this UID or a higher one yet
	AppendLimit uint64 // octets of the largest message that the folder takes, 0 = not known; RFC 7889
}

// maxFolders is how many folders of a server are looked at.
const maxFolders = 10_000

// Name returns the name of a folder as the server writes it.
func (c *Client) Name(folder string) string {
	if c.Has("IMAP4REV2") && !c.Has("IMAP4REV1") {
		return folder // RFC 9051 section 5.1
	}
	return encodeName(folder)
}

// SpecialUse returns the folder that has a special use, such as \Junk, "" if there is none
// that a command can name.
// RFC 6154
func (c *Client) SpecialUse(use string) (string, error) {
	line := `LIST "" "*"`
	if c.Has("SPECIAL-USE") && c.Has("LIST-EXTENDED") {
		line = `LIST "" "*" RETURN (SPECIAL-USE)`
	}
	found, n := "", 0
	_, err := c.command(line, func(r *response) error {
		if !r.is(0, "LIST") || len(r.items) < 4 {
			return nil
		}
		if n++; n > maxFolders {
			return &ProtocolError{"LIST", "the server has too many folders"}
		}
		name := r.items[3].text
		if strings.ContainsAny(name, "\r\n\x00") { // of a literal; no command could name it, see quoted
			return nil
		}
		for _, attribute := range r.items[1].list {
			if strings.EqualFold(attribute.text, use) && found == "" {
				found = name
			}
		}
		return nil
	})
	return found, err
}

// Exists asks whether the server lists a folder.
func (c *Client) Exists(name string) (bool, error) {
	there := false
	_, err := c.command("LIST \"\" "+quoted(name), func(r *response) error {
		// A % or * in the name stands for any characters: others may be listed too.
		if r.is(0, "LIST") && len(r.items) >= 4 && (r.items[3].text == name || r.is(3, "INBOX") && strings.EqualFold(name, "INBOX")) {
			there = !slices.ContainsFunc(r.items[1].list, func(attribute item) bool {
				return strings.EqualFold(attribute.text, `\NonExistent`) || strings.EqualFold(attribute.text, `\Noselect`) // RFC 9051 section 7.3.1
			})
		}
		return nil
	})
	return there, err
}

// Create makes a folder. use is its special use, "" for none; a server that cannot note it
// is not told.
func (c *Client) Create(name, use string) error {
	line := "CREATE " + quoted(name)
	if use != "" && c.Has("CREATE-SPECIAL-USE") { // RFC 6154 section 3
		line += " (USE (" + use + "))"
	}
	_, err := c.command(line, nil)
	if refused, ok := errors.AsType[*Refusal](err); ok && refused.Code == "ALREADYEXISTS" {
		return nil // RFC 5530
	}
	return err
}

// Subscribe makes mail readers show a folder.
func (c *Client) Subscribe(name string) error {
	_, err := c.command("SUBSCRIBE "+quoted(name), nil)
	return err
}

// Status asks about a folder without opening it. A *Refusal says that there is none, or
// that it may not be read.
func (c *Client) Status(name string) (Status, error) {
	items := "UIDVALIDITY UIDNEXT"
	if c.Has("APPENDLIMIT") { // RFC 7889 section 2: the folders have limits of their own
		items += " APPENDLIMIT"
	}
	var s Status
	_, err := c.command(fmt.Sprintf("STATUS %s (%s)", quoted(name), items), func(r *response) error {
		if !r.is(0, "STATUS") || len(r.items) < 3 {
			return nil
		}
		list := r.items[2].list
		for i := 0; i+1 < len(list); i += 2 {
			switch value := list[i+1]; strings.ToUpper(list[i].text) {
			case "UIDVALIDITY":
				s.UIDValidity = value.number()
			case "UIDNEXT":
				s.UIDNext = value.number()
			case "APPENDLIMIT":
				s.AppendLimit, _ = strconv.ParseUint(value.text, 10, 64) // NIL = none
			}
		}
		return nil
	})
	if s.AppendLimit == 0 {
		s.AppendLimit = c.appendLimit()
	}
	return s, err
}

// appendLimit returns the limit that holds for all folders, 0 = not known.
func (c *Client) appendLimit() uint64 {
	for _, capability := range c.caps {
		if text, ok := strings.CutPrefix(capability, "APPENDLIMIT="); ok {
			n, _ := strconv.ParseUint(text, 10, 64)
			return n
		}
	}
	return 0
}

// Examine opens a folder for reading.
func (c *Client) Examine(name string) (Status, error) {
	var s Status
	if c.failed != nil {
		return s, c.failed
	}
	tag := c.send("EXAMINE "+quoted(name), "", "\r\n")
	if err := c.flush(); err != nil {
		return s, err
	}
	for {
		r, err := c.response()
		if err != nil {
			return s, err
		}
		switch {
		case r.tag == tag:
			return s, r.refusal("EXAMINE")
		case r.tag != "*":
			return s, c.fail(r.unexpected("EXAMINE"))
		case r.code == "UIDVALIDITY":
			s.UIDValidity = item{text: r.args}.number()
		case r.code == "UIDNEXT":
			s.UIDNext = item{text: r.args}.number()
		}
	}
}

// maxHeader is how many octets of a header block are asked for.
const maxHeader = 64 << 10

// Message is a message of a folder.
type Message struct {
	UID    uint32
	Size   int64  // in octets
	Header []byte // its header block, the first 64 KiB of it at most
}

// Latest calls each for messages of the opened folder from a UID on, in any order, with their
// Received fields alone as the header block.
func (c *Client) Latest(from uint32, each func(Message)) error {
	return c.fetch(strconv.FormatUint(uint64(from), 10)+":*", "HEADER.FIELDS (RECEIVED)", from, each)
}

// Headers calls each for the messages of the opened folder from a UID on, in any order.
func (c *Client) Headers(from uint32, each func(Message)) error {
	return c.fetch(strconv.FormatUint(uint64(from), 10)+":*", "HEADER", from, each)
}

// WithMessageID calls each for the messages of the opened folder with a Message-ID. It must be
// printable ASCII.
func (c *Client) WithMessageID(id string, each func(Message)) error {
	var uids []string
	_, err := c.command("UID SEARCH HEADER Message-ID "+quoted(id), func(r *response) error {
		if r.is(0, "SEARCH") {
			for _, i := range r.items[1:] {
				if len(uids) < maxFound && i.number() > 0 {
					uids = append(uids, i.text)
				}
			}
		}
		return nil
	})
	if err != nil || len(uids) == 0 {
		return err
	}
	return c.fetch(strings.Join(uids, ","), "HEADER", 0, each)
}

// maxFound is how many messages with one Message-ID are looked at.
const maxFound = 500

// mostResponses is how many responses one UID FETCH may have: more than a folder has new
// messages after a crash, and an end for a server that never stops.
const mostResponses = 250_000

// fetch asks for a section of the messages of a set: the header block, or a part of it.
func (c *Client) fetch(set, section string, from uint32, each func(Message)) error {
	responses := 0
	_, err := c.command(fmt.Sprintf("UID FETCH %s (UID RFC822.SIZE BODY.PEEK[%s]<0.%d>)", set, section, maxHeader), func(r *response) error {
		if responses++; responses > mostResponses {
			return fmt.Errorf("the server sends more than %d responses to one UID FETCH", mostResponses)
		}
		c.read = 0 // none of them is kept
		if !r.is(1, "FETCH") || len(r.items) < 3 {
			return nil
		}
		var m Message
		list := r.items[2].list
		for i := 0; i+1 < len(list); i += 2 {
			name := strings.ToUpper(list[i].text)
			switch value := list[i+1]; {
			case name == "UID":
				m.UID = value.number()
			case name == "RFC822.SIZE":
				m.Size = int64(value.number())
			case strings.HasPrefix(name, "BODY[HEADER"):
				m.Header = []byte(value.text)
			}
		}
		if m.UID >= max(from, 1) && m.Header != nil { // n:* has the last message whatever its UID
			m.Header = bytes.TrimRight(m.Header, "\r\n")
			each(m)
		}
		return nil
	})
	return err
}
