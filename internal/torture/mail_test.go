//go:build linux

package torture

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// compose returns message i of a maildrop, with LF line ends. It depends only on i, and a mark
// in its body tells i. Most messages are small; some need several writes or more room than a
// pipe has.
func compose(i int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, inSource+"To: user@example.org\nSubject: message %d\nMessage-ID: <%d@example.org>\n\n", i, i)
	fmt.Fprintf(&b, "%s\n.\n..two dots\nFrom the body\n>From a quotation\n8-bit \xe9\xff and a NUL-free tab\t\n", mark(i))
	lines := 3 + i*7%40
	switch {
	case i >= longest:
		lines = i / longest
	case i%40 == 2:
		lines = 3000
	}
	for n := range lines {
		fmt.Fprintf(&b, "%d-%d %s\n", i, n, strings.Repeat("x", (i+n)%60))
	}
	return b.Bytes()
}

// longest times n is a message with n lines in its body.
const longest = 1000

func mark(i int) string { return fmt.Sprintf("[mark %09d]", i) }

// inSource begins each message that compose returns: receivers put fields before it.
const inSource = "From: sender@example.org\n"

// marked returns the number of the message that text is, or is a part of.
func marked(text []byte) (int, bool) {
	_, rest, ok := bytes.Cut(text, []byte("[mark "))
	if !ok {
		return 0, false
	}
	var i int
	_, err := fmt.Sscanf(string(rest[:min(len(rest), 9)]), "%d", &i)
	return i, err == nil
}

// copies is the delivered messages of a maildrop.
type copies struct {
	whole map[int][]string // message -> names of its exact copies
	wrong []string         // files that are not an exact copy of a message
}

// collect reads the files in dirs, except those whose names begin with a dot.
func collect(dirs ...string) (copies, error) {
	c := copies{whole: make(map[int][]string)}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !os.IsNotExist(err) {
			return c, err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return c, err
			}
			if i, ok := marked(text); ok && bytes.Equal(text, compose(i)) {
				c.whole[i] = append(c.whole[i], e.Name())
			} else {
				c.wrong = append(c.wrong, fmt.Sprintf("%s (%d octets)", filepath.Join(dir, e.Name()), len(text)))
			}
		}
	}
	return c, nil
}
