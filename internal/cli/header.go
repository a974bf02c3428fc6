package cli

import (
	"bufio"
	"errors"
	"io"
	"mime"
	"net/mail"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
)

// header is what the header block of a message shows to a person. Encoded words
// are decoded, see RFC 2047; the date is left as it is.
type header struct {
	From    string `json:"from"`
	Date    string `json:"date"`
	Subject string `json:"subject"`
}

const (
	// maxHeader is how many octets of a header block are read.
	maxHeader = 64 << 10
	// maxField is how many octets of a field are shown.
	maxField = 1 << 10
)

// readHeader reads the first From, Date and Subject of a header block. A line
// that is not a field costs that line only: net/mail.ReadMessage would refuse the
// whole block.
func readHeader(r io.Reader) header {
	fields := make(map[string]string)
	current := "" // the field that a continuation line belongs to, "" = none
	lines := bufio.NewScanner(io.LimitReader(r, maxHeader))
	lines.Buffer(nil, maxHeader+1)
	for lines.Scan() && lines.Text() != "" {
		line := lines.Text()
		if line[0] == ' ' || line[0] == '\t' { // RFC 5322 section 2.2.3
			if current != "" {
				fields[current] += line
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		// RFC 5322 section 4.5 still allows blanks before the colon.
		current = strings.ToLower(strings.TrimRight(name, " \t"))
		if _, known := fields[current]; !ok || known {
			current = ""
			continue
		}
		fields[current] = value
	}
	return header{
		From:    decodeWords(fields["from"]),
		Date:    shorten(strings.TrimSpace(fields["date"])),
		Subject: decodeWords(fields["subject"]),
	}
}

// decodeWords decodes the encoded words of a field. A field that cannot be
// decoded is returned as it is.
func decodeWords(field string) string {
	field = strings.TrimSpace(field)
	d := mime.WordDecoder{CharsetReader: func(charset string, input io.Reader) (io.Reader, error) {
		e, err := charsetEncoding(charset)
		if err != nil {
			return nil, err
		}
		return e.NewDecoder().Reader(input), nil
	}}
	if text, err := d.DecodeHeader(field); err == nil {
		field = text
	}
	return shorten(field)
}

// shorten cuts a field after maxField octets, and marks that.
func shorten(field string) string {
	if len(field) <= maxField {
		return field
	}
	return strings.ToValidUTF8(field[:maxField], "") + "…"
}

// charsetEncoding finds a charset by the names that browsers know, among them
// many wrong ones in common use, and by those that IANA has registered.
func charsetEncoding(charset string) (encoding.Encoding, error) {
	if e, err := htmlindex.Get(charset); err == nil {
		return e, nil
	}
	e, err := ianaindex.MIME.Encoding(charset)
	if err == nil && e == nil { // registered, not implemented
		err = errors.New("charset is not implemented")
	}
	return e, err
}

// localDate returns the date of a header in local time and short, or as it is if
// it is not a date.
func localDate(date string) string {
	t, err := mail.ParseDate(date)
	if err != nil {
		return date
	}
	return t.Local().Format("2006-01-02 15:04")
}
