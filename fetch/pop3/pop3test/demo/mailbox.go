package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"

	"popfetch/fetch/pop3/pop3test"
)

// mailbox returns the messages on the server: the mail of a small company, with what
// mail programs often get wrong. Each call returns the same.
func mailbox() []pop3test.Message {
	texts := []string{
		letter("Ada Lovelace <ada@example.org>", "Lunch on Thursday?") + "\nAt noon, at the usual place.\n\nAda\n",

		letter("Jörg Müller <joerg@example.net>", "=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=") + mimeFields("text/plain; charset=utf-8", "8bit") +
			"\nViele Grüße vom Rhein — und ein € für den Kaffee.\n",

		letter("Zoé <zoe@example.fr>", "=?iso-8859-1?q?Caf=E9?=") + mimeFields("text/plain; charset=iso-8859-1", "8bit") +
			"\nLe caf\xe9 est ferm\xe9, \xe0 bient\xf4t.\n",

		letter("Build robot <build@example.org>", "Lines of 5,000 octets") + "\n" +
			strings.Repeat(strings.Repeat("0123456789", 500)+"\n", 20),

		letter("Samuel Morse <samuel@example.org>", "Dots at the beginning of lines") +
			"\n.\n..\n...\n.profile and .forward\n.\n\n.\n",

		letter("Mallory <mallory@example.com>", "This is not the end") +
			"\n+OK 0 octets\n-ERR no such message\nQUIT\n",

		letter("Newsletter <news@example.com>", "Ten things to know about mail") + alternative(),

		letter("Grace Hopper <grace@example.org>", "The plans you asked for") + attachment(3<<20),

		letter("Empty <empty@example.org>", "Nothing to say") + "\n",

		letter("Terse <terse@example.org>", "A header and no blank line"),

		"No header at all, only this line.\n",

		letter("Very long header <long@example.org>", "Many recipients") +
			"Cc: " + strings.Repeat("someone@example.org,\n ", 400) + "last@example.org\n" +
			"\nSorry for the long list.\n",
	}
	all := make([]pop3test.Message, len(texts))
	for i, text := range texts {
		all[i] = pop3test.Message{UID: fmt.Sprintf("%08x", 0x5eed0000+i), Raw: pop3test.Text(text)}
	}
	return all
}

// letter returns the beginning of a header block.
func letter(from, subject string) string {
	return field("From", from) + field("To", "Demo <demo@example.org>") +
		field("Date", "Mon, 01 Jun 2026 09:00:00 +0000") + field("Subject", subject)
}

func field(name, value string) string { return name + ": " + value + "\n" }

func mimeFields(contentType, encoding string) string {
	return field("MIME-Version", "1.0") + field("Content-Type", contentType) +
		field("Content-Transfer-Encoding", encoding)
}

func alternative() string {
	return mimeFields("multipart/alternative; boundary=parts", "7bit") +
		"\n--parts\n" + field("Content-Type", "text/plain") +
		"\n1. A message ends with a dot.\n\n--parts\n" + field("Content-Type", "text/html") +
		"\n<ol>\n<li>A message ends with a <b>dot</b>.\n.</ol>\n\n--parts--\n"
}

// attachment returns a message with that many octets of data in base64.
func attachment(octets int) string {
	data := make([]byte, octets)
	rand.NewChaCha8([32]byte{}).Read(data) // never fails
	coded := base64.StdEncoding.EncodeToString(data)
	var b strings.Builder
	b.WriteString(mimeFields("multipart/mixed; boundary=parts", "7bit"))
	b.WriteString("\n--parts\n" + field("Content-Type", "text/plain") + "\nHere they are.\n\n--parts\n")
	b.WriteString(field("Content-Type", "application/octet-stream; name=plans.bin"))
	b.WriteString(field("Content-Transfer-Encoding", "base64") + "\n")
	for len(coded) > 76 {
		b.WriteString(coded[:76] + "\n")
		coded = coded[76:]
	}
	b.WriteString(coded + "\n\n--parts--\n")
	return b.String()
}
