package mda

import (
	"bytes"
	"strings"
)

// envelope returns what the header block says of the sender and the recipient of
// a message: a POP3 server hands over the message without its envelope, and the
// server that took it by SMTP wrote that into these fields (RFC 5321 section 4.4 for
// Return-Path, custom for the others). Each is "" where the first field of its
// kind is not there or not a plain address.
func envelope(head []byte) (sender, recipient string) {
	var haveSender, haveRecipient bool
	for name, value := range fields(head) {
		switch strings.ToLower(name) {
		case "return-path":
			if !haveSender {
				sender, haveSender = address(value), true
			}
		case "delivered-to", "x-original-to", "envelope-to":
			if !haveRecipient {
				recipient, haveRecipient = address(value), true
			}
		}
	}
	return sender, recipient
}

// fields yields name and unfolded value of the fields of a header block, with LF or
// CRLF line ends, up to the empty line or the end of head. A line that is no field
// is passed over, and so is a field that head may not hold whole.
func fields(head []byte) func(yield func(name, value string) bool) {
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

// address returns the address of a field value, with or without angle brackets, or
// "" where it is not plain.
func address(value string) string {
	if inner, ok := strings.CutPrefix(value, "<"); ok {
		value, ok = strings.CutSuffix(inner, ">")
		if !ok {
			return ""
		}
	}
	if !isPlain(value) {
		return ""
	}
	return value
}

const (
	maxAddress = 320 // 64 for the local part, "@", 255 for the domain
	plain      = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@.-_+=#%~"
)

// isPlain says whether s is an address or user name that means nothing but itself
// to a program that takes it as an argument, puts it into a file name or hands it to
// a shell. Whoever sends a mail can write these fields, so this is
// narrower than RFC 5322 section 3.4.1.
func isPlain(s string) bool {
	return s != "" && len(s) <= maxAddress &&
		strings.Trim(s, plain) == "" &&
		strings.Count(s, "@") <= 1 &&
		!strings.ContainsAny(s[:1], "-.~@")
}
