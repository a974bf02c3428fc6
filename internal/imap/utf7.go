package imap

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
)

// encodeName returns the name of a folder as IMAP4rev1 writes it: in modified UTF-7, in
// which all but printable ASCII is UTF-16 in base 64. RFC 3501 section 5.1.3
func encodeName(name string) string {
	var b strings.Builder
	var run []rune // of characters that have to be encoded
	end := func() {
		if len(run) == 0 {
			return
		}
		var octets []byte
		for _, unit := range utf16.Encode(run) {
			octets = append(octets, byte(unit>>8), byte(unit))
		}
		coded := base64.RawStdEncoding.EncodeToString(octets)
		b.WriteString("&" + strings.ReplaceAll(coded, "/", ",") + "-")
		run = nil
	}
	for _, r := range name {
		switch {
		case r < ' ' || r > '~':
			run = append(run, r)
			continue
		case r == '&':
			end()
			b.WriteString("&-")
		default:
			end()
			b.WriteRune(r)
		}
	}
	end()
	return b.String()
}
