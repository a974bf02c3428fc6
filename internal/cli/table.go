package cli

import (
	"bufio"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
)

// table is text in columns.
type table struct {
	columns []column
	rows    []row
	wraps   bool // long notes are broken on a terminal
}

// column is one column. If the terminal is too narrow for the table, columns
// shrink first and are then dropped.
type column struct {
	name    string
	shrinks bool // cells may be cut
	dropped int  // 1 is dropped first, 0 never
}

// row has a cell for each column, and may have a note. The note follows the last
// cell, or on a terminal has a line of its own below.
type row struct {
	cells []string
	note  string
}

const (
	tableIndent = "  "
	columnGap   = "  "
	// narrowest is the width to which a column shrinks at most.
	narrowest = 12
)

// write writes the table so that it fits into width columns of a terminal, 0 =
// no terminal, nothing is cut.
func (t *table) write(w io.Writer, width int) error {
	shown, widths := t.layout(width)
	out := bufio.NewWriter(w)
	line := func(cells []string, note string) {
		var b strings.Builder
		b.WriteString(tableIndent)
		for n, i := range shown {
			cell := cells[i]
			if runewidth.StringWidth(cell) > widths[i] {
				cell = runewidth.Truncate(cell, widths[i], "…")
			}
			if n < len(shown)-1 || note != "" {
				cell = runewidth.FillRight(cell, widths[i]) + columnGap
			}
			b.WriteString(cell)
		}
		b.WriteString(note)
		out.WriteString(strings.TrimRight(b.String(), " ") + "\n")
	}
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	line(names, "")
	for _, r := range t.rows {
		if width == 0 {
			line(r.cells, r.note)
			continue
		}
		line(r.cells, "")
		if r.note != "" {
			room := runewidth.StringWidth(r.note)
			if t.wraps {
				room = width - len(tableIndent+columnGap)
			}
			for line := range wrap(r.note, room) {
				out.WriteString(tableIndent + columnGap + line + "\n")
			}
		}
	}
	return out.Flush()
}

// wrap yields the lines of a text, broken between words where that is possible.
func wrap(text string, width int) iter.Seq[string] {
	return func(yield func(string) bool) {
		width = max(width, narrowest)
		for runewidth.StringWidth(text) > width {
			line := runewidth.Truncate(text, width, "")
			if at := strings.LastIndexByte(line, ' '); at > 0 {
				line = line[:at]
			}
			if !yield(line) {
				return
			}
			text = strings.TrimLeft(text[len(line):], " ")
		}
		if text != "" {
			yield(text)
		}
	}
}

// layout returns which columns are shown, and how wide each is.
func (t *table) layout(width int) (shown, widths []int) {
	widths = make([]int, len(t.columns))
	for i, c := range t.columns {
		shown = append(shown, i)
		widths[i] = runewidth.StringWidth(c.name)
		for _, r := range t.rows {
			widths[i] = max(widths[i], runewidth.StringWidth(r.cells[i]))
		}
	}
	if width == 0 {
		return shown, widths
	}
	for {
		excess := len(tableIndent) - len(columnGap) - width
		for _, i := range shown {
			excess += widths[i] + len(columnGap)
		}
		if excess = t.shrink(shown, widths, excess); excess <= 0 {
			return shown, widths
		}
		next := -1 // in shown, the column to drop
		for n, i := range shown {
			if d := t.columns[i].dropped; d > 0 && (next < 0 || d < t.columns[shown[next]].dropped) {
				next = n
			}
		}
		if next < 0 {
			return shown, widths
		}
		shown = slices.Delete(shown, next, next+1)
	}
}

// shrink takes excess from the widest columns that may shrink, and returns what
// is left of it.
func (t *table) shrink(shown, widths []int, excess int) int {
	for ; excess > 0; excess-- {
		widest := -1
		for _, i := range shown {
			if t.columns[i].shrinks && widths[i] > narrowest && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return excess
}
