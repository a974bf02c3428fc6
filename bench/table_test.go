//go:build linux

package main

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func played() []result {
	return []result{
		{"fresh", []*entry{
			{name: "drain", seconds: []float64{1, 1.1, 0.9}, rss: 8192},
			{name: "popfetch", seconds: []float64{2, 2.5, 2.4}, rss: 15 << 10, roundTrips: 6},
			{name: "mpop", seconds: []float64{4.8, 12.5, 4.7}},
			{name: "fetchmail", seconds: []float64{60}},
			{name: "disk", seconds: []float64{2, 3}},
		}},
		{"nothing <new> & so on", []*entry{
			{name: "drain", seconds: []float64{0.01}},
			{name: "popfetch", failed: "exit code 75"},
			{name: "mpop", over: 10},
		}},
		{"all peers missing", []*entry{
			{name: "drain", seconds: []float64{0.5}},
			{name: "popfetch", seconds: []float64{0.5}},
		}},
	}
}

func TestSummary(t *testing.T) {
	want := [][]string{
		{"fresh", "2.500 (disk)", "2.400", "4.800 (mpop)", "0.96", "2.00"},
		{"nothing <new> & so on", "0.010 (drain)", "failed", "-", "-", "-"},
		{"all peers missing", "0.500 (drain)", "0.500", "-", "1.00", "-"},
	}
	for i, r := range played() {
		if got := summaryRow(r); !slices.Equal(got, want[i]) {
			t.Errorf("got  %q\nwant %q", got, want[i])
		}
	}
}

func TestEntryRow(t *testing.T) {
	r := played()
	for _, x := range []struct {
		e    *entry
		want []string
	}{
		{r[0].entries[1], []string{"s", "popfetch", "3", "2.400", "2.000", "2.500", "15.0", "6"}},
		{r[0].entries[2], []string{"s", "mpop", "3", "4.800", "4.700", "12.5", "-", "-"}},
		{r[1].entries[2], []string{"s", "mpop", "0", "over 10", "-", "-", "-", "-"}},
	} {
		if got := entryRow("s", x.e); !slices.Equal(got, x.want) {
			t.Errorf("got  %q\nwant %q", got, x.want)
		}
	}
}

// TestTableIsRectangular: each row of a table has as many cells as its head.
func TestTableIsRectangular(t *testing.T) {
	var out strings.Builder
	must(t, writeTable(&out, []string{"Date: today"}, played()))
	cells, rows := 0, 0
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "|") {
			cells = 0
			continue
		}
		rows++
		if n := strings.Count(line, "|"); cells == 0 {
			cells = n
		} else if n != cells {
			t.Errorf("%d bars instead of %d in %s", n, cells, line)
		}
	}
	if want := 2 + 3 + 2 + 10; rows != want {
		t.Errorf("%d rows, want %d", rows, want)
	}
	if !strings.Contains(out.String(), "- Date: today\n") {
		t.Error("the table does not say when it was made")
	}
}

// TestPlotIsXML reads the plot as a browser would, and counts its bars.
func TestPlotIsXML(t *testing.T) {
	for _, results := range [][]result{played(), nil} {
		var out strings.Builder
		must(t, writePlot(&out, []string{"AMD & more"}, results))
		d := xml.NewDecoder(strings.NewReader(out.String()))
		bars, names := 0, 0
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			must(t, err)
			switch x := token.(type) {
			case xml.StartElement:
				if x.Name.Local == "rect" {
					bars++
				}
			case xml.CharData:
				names += strings.Count(string(x), "nothing <new> & so on")
			}
		}
		want, named := 1, 0 // the background
		if results != nil {
			want, named = 1+8, 1
		}
		if bars != want || names != named {
			t.Errorf("%d rectangles and %d names, want %d and %d", bars, names, want, named)
		}
	}
}
