package main

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"popfetch/fetch/pop3/pop3test"
)

// file is one message in the Maildir.
type file struct {
	name string
	text []byte // as it is there
}

// arrived reads new/ of a Maildir. It refuses anything left in tmp/ and cur/.
func arrived(maildir string) ([]file, error) {
	for _, empty := range []string{"tmp", "cur"} {
		left, err := os.ReadDir(filepath.Join(maildir, empty))
		if err != nil {
			return nil, fmt.Errorf("read the Maildir: %w", err)
		}
		if len(left) > 0 {
			return nil, fmt.Errorf("%d files in %s/, none should be there", len(left), empty)
		}
	}
	entries, err := os.ReadDir(filepath.Join(maildir, "new"))
	if err != nil {
		return nil, fmt.Errorf("read the Maildir: %w", err)
	}
	var files []file
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(maildir, "new", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the Maildir: %w", err)
		}
		files = append(files, file{e.Name(), text})
	}
	return files, nil
}

// show prints a table of the messages, by sender.
func show(w io.Writer, files []file) error {
	var rows []string
	for _, f := range files {
		from, subject := "-", "-"
		if m, err := mail.ReadMessage(bytes.NewReader(f.text)); err == nil {
			from, subject = decoded(m, "From"), decoded(m, "Subject")
		}
		rows = append(rows, fmt.Sprintf("    %s\t%s\t%d\n", from, subject, len(f.text)))
	}
	slices.Sort(rows)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "    From\tSubject\tOctets\n", strings.Join(rows, ""))
	return table.Flush()
}

// decoded is a header field in plain words.
func decoded(m *mail.Message, name string) string {
	value := m.Header.Get(name)
	if plain, err := new(mime.WordDecoder).DecodeHeader(value); err == nil {
		value = plain
	}
	if value == "" {
		return "-"
	}
	return strings.ToValidUTF8(value, "?")
}

// compare returns an error unless the files are exactly the messages, with LF line
// ends and apart from one Received field in front.
func compare(files []file, messages []pop3test.Message) error {
	missing := make(map[string]string) // text -> unique-id
	for _, m := range messages {
		missing[strings.ReplaceAll(string(m.Raw), "\r\n", "\n")] = m.UID
	}
	for _, f := range files {
		text, ok := withoutReceived(string(f.text))
		if !ok {
			return fmt.Errorf("%s does not begin with a Received field", f.name)
		}
		if _, ok := missing[text]; !ok {
			return fmt.Errorf("%s is not what the server holds, or is there twice", f.name)
		}
		delete(missing, text)
	}
	for _, uid := range missing {
		return fmt.Errorf("%d messages did not arrive, one of them is %s", len(missing), uid)
	}
	return nil
}

// withoutReceived takes one Received field, with its folded lines, from the front.
func withoutReceived(text string) (string, bool) {
	if !strings.HasPrefix(text, "Received: ") {
		return text, false
	}
	for {
		_, rest, _ := strings.Cut(text, "\n")
		text = rest
		if !strings.HasPrefix(text, " ") && !strings.HasPrefix(text, "\t") {
			return text, true
		}
	}
}
