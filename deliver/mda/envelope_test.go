package mda

import (
	"strings"
	"testing"

	"popfetch/deliver"
)

func TestEnvelope(t *testing.T) {
	for _, test := range []struct{ head, sender, recipient string }{
		{"", "", ""},
		{"Return-Path: <a@example.org>\nDelivered-To: b@example.org\n\n", "a@example.org", "b@example.org"},
		{"return-path :a@example.org\r\nX-Original-To:\r\n\t<b+tag@example.org>\r\n\r\n", "a@example.org", "b+tag@example.org"},
		{"Envelope-To: first@example.org\nDelivered-To: second@example.org\n\n", "", "first@example.org"},
		{"Return-Path: <>\nReturn-Path: <a@example.org>\n\n", "", ""},
		{"Return-Path: \"a b\"@example.org\n\n", "", ""},
		{"Delivered-To: -oProxyCommand=x\n\n", "", ""},
		{"Delivered-To: a@example.org, b@example.org\n\n", "", ""},
		{"Delivered-To: ../../etc/x@example.org\n\n", "", ""},
		{"Delivered-To: $(touch x)@example.org\n\n", "", ""},
		{"Delivered-To: a@b@c\n\n", "", ""},
		{"Delivered-To: <a@example.org\n\n", "", ""},
		{"Delivered-To: " + strings.Repeat("a", maxAddress) + "@x\n\n", "", ""},
		{"Subject: x\n\nReturn-Path: <body@example.org>\n\n", "", ""},
		{"no field at all\nReturn-Path: <a@example.org>\n\n", "a@example.org", ""},
		{"Return-Path: <cut@example.or", "", ""},
	} {
		sender, recipient := envelope([]byte(test.head))
		if sender != test.sender || recipient != test.recipient {
			t.Errorf("%q: %q and %q, want %q and %q", test.head, sender, recipient, test.sender, test.recipient)
		}
	}
}

func TestRecipientIsTheUserWhereNoFieldSaysIt(t *testing.T) {
	for user, want := range map[string]string{"me@example.org": "me@example.org", "me": "me", "a b": "", "-x": ""} {
		if got := newValues(deliver.Meta{User: user}, &spool{}).recipient; got != want {
			t.Errorf("user %q: recipient %q, want %q", user, got, want)
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add([]byte("Return-Path: <a@example.org>\r\nDelivered-To:\r\n b@example.org\r\n\r\n"), "uid")
	f.Add([]byte("Return-Path:\n"), "-x/\x00%")
	f.Fuzz(func(t *testing.T, head []byte, uid string) {
		sender, recipient := envelope(head)
		for _, value := range []string{sender, recipient} {
			if value != "" && !isPlain(value) || strings.HasPrefix(value, "-") || strings.ContainsAny(value, " \t\r\n\x00'\"`$/\\|;&<>()") {
				t.Errorf("address %q", value)
			}
		}
		escaped := escapeUID(uid)
		if strings.HasPrefix(escaped, "-") || strings.Contains(escaped, "/") ||
			strings.ContainsFunc(escaped, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			t.Errorf("unique-id %q becomes %q", uid, escaped)
		}
	})
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		argv []string
		want string // of the error, "" = nothing is wrong
	}{
		{[]string{"maildrop", "-d", "{user}"}, ""},
		{[]string{"mda", "{account}{sender}{recipient}{uid}{size}", "{ x }", "{}", "{A}", "a{1}"}, ""},
		{nil, "no program"},
		{[]string{""}, "no program"},
		{[]string{"{user}"}, "may not be a placeholder"},
		{[]string{"mda", "-x{subject}"}, "unknown placeholder {subject}"},
		{[]string{"mda", "a\x00"}, "NUL"},
	} {
		err := Check(test.argv)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%q: %v, want %q", test.argv, err, test.want)
		}
	}
}
