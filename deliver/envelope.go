package deliver

import (
	"bytes"
	"iter"
	"strings"
)

// Envelope is the sender and the recipient that a message had in SMTP. A POP3 server
// gives a message without it. Each is a plain address or user name, see IsPlain, or "".
type Envelope struct {
	Sender    string
	Recipient string
}

// NewEnvelope reads the envelope from head, the beginning of a message with LF or CRLF
// line ends. The server that received the message by SMTP wrote it into the header
// block: the sender into Return-Path (RFC 5321 section 4.4), the recipient, by
// custom, into Delivered-To, X-Original-To or Envelope-To. The first field of each
// kind counts. If it is missing or not plain, the recipient is the user of m.
func NewEnvelope(m Meta, head []byte) Envelope {
	var e Envelope
	var haveSender, haveRecipient bool
	for name, value := range Fields(head) {
		switch strings.ToLower(name) {
		case "return-path":
			if !haveSender {
				e.Sender, haveSender = address(value), true
			}
		case "delivered-to", "x-original-to", "envelope-to":
			if !haveRecipient {
				e.Recipient, haveRecipient = address(value), true
			}
		}
	}
	if e.Recipient == "" && IsPlain(m.User) {
		e.Recipient = m.User
	}
	return e
}

// Fields yields name and unfolded value of the fields of a header block, up to the
// empty line or the end of head. It skips lines that are not a field, and a last field
// that head may not hold whole.
func Fields(head []byte) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		var field []byte
		emit := func() bool {
			name, value, ok := bytes.Cut(field, []byte(":"))
			field = nil
			if !ok {
				return true
			}
			return yield(string(bytes.TrimRight(name, " \t")), string(bytes.TrimSpace(value)))
		}
		for {
			line, rest, whole := bytes.Cut(head, []byte("\n"))
			if !whole {
				return
			}
			head = rest
			line = bytes.TrimSuffix(line, []byte("\r"))
			if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
				field = append(field, line...) // RFC 5322 section 2.2.3 (folding)
				continue
			}
			if !emit() || len(line) == 0 {
				return
			}
			field = bytes.Clone(line)
		}
	}
}

// address returns the address of a field value, with or without angle brackets, or ""
// if it is not plain.
func address(value string) string {
	if inner, ok := strings.CutPrefix(value, "<"); ok {
		value, ok = strings.CutSuffix(inner, ">")
		if !ok {
			return ""
		}
	}
	if !IsPlain(value) {
		return ""
	}
	return value
}

const (
	maxAddress = 320 // 64 for the local part, "@", 255 for the domain
	plain      = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@.-_+=#%~"
)

// IsPlain reports whether s is an address or user name that is harmless as an argument
// of a program, in a file name and in a shell: it cannot be an option, a path or a
// command. Whoever sends a message can write its header fields, so this allows less
// than RFC 5322 section 3.4.1.
func IsPlain(s string) bool {
	return s != "" && len(s) <= maxAddress &&
		strings.Trim(s, plain) == "" &&
		strings.Count(s, "@") <= 1 &&
		!strings.ContainsAny(s[:1], "-.~@")
}
