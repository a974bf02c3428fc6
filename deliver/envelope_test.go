package deliver

import (
	"strings"
	"testing"
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
		got := NewEnvelope(Meta{}, []byte(test.head))
		if want := (Envelope{test.sender, test.recipient}); got != want {
			t.Errorf("%q: %+v, want %+v", test.head, got, want)
		}
	}
}

func TestRecipientIsTheUserWhereNoFieldNamesIt(t *testing.T) {
	for user, want := range map[string]string{"me@example.org": "me@example.org", "me": "me", "a b": "", "-x": ""} {
		for _, head := range []string{"", "Delivered-To: a b\n\n"} {
			if got := NewEnvelope(Meta{User: user}, []byte(head)).Recipient; got != want {
				t.Errorf("user %q, header %q: recipient %q, want %q", user, head, got, want)
			}
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add([]byte("Return-Path: <a@example.org>\r\nDelivered-To:\r\n b@example.org\r\n\r\n"))
	f.Add([]byte("Return-Path:\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		e := NewEnvelope(Meta{}, head)
		for _, value := range []string{e.Sender, e.Recipient} {
			if value != "" && !IsPlain(value) || strings.HasPrefix(value, "-") || strings.ContainsAny(value, " \t\r\n\x00'\"`$/\\|;&<>()") {
				t.Errorf("address %q", value)
			}
		}
	})
}
