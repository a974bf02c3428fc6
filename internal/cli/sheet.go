package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// sheet writes names with their values, one below the other.
type sheet struct {
	w     io.Writer
	width int // columns of the terminal, 0 = no terminal, no line is broken
}

const (
	sheetName   = 13 // columns of a name
	sheetIndent = "  "
	// sheetNarrow is the width of a terminal below which a value stands below its name.
	sheetNarrow = 60
)

// line writes a value, broken between words. An empty one is left out.
func (s *sheet) line(name, value string) {
	if value == "" {
		return
	}
	first := fmt.Sprintf("%s%-*s ", sheetIndent, sheetName, name)
	indent := strings.Repeat(" ", len(first))
	if s.width > 0 && s.width < sheetNarrow {
		fmt.Fprintln(s.w, sheetIndent+name)
		first, indent = sheetIndent+sheetIndent, sheetIndent+sheetIndent
	}
	for _, part := range wrapped(value, s.width-len(indent)) {
		fmt.Fprintln(s.w, first+part)
		first = indent
	}
}

// code writes a text and below it a line to copy, which is never broken.
func (s *sheet) code(text, line string) {
	for _, part := range wrapped(text, s.width-len(sheetIndent)) {
		fmt.Fprintln(s.w, sheetIndent+part)
	}
	fmt.Fprintln(s.w, sheetIndent+sheetIndent+line)
}

// wrapped breaks a text between words into lines of at most width columns; a longer word
// has a line of its own. Below 1 it breaks nothing.
func wrapped(text string, width int) (lines []string) {
	if width < 1 {
		return []string{text}
	}
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		switch {
		case line == "":
			line = word
		case runewidth.StringWidth(line)+1+runewidth.StringWidth(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
