//go:build linux

package main

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// Measures of the plot in pixels.
const (
	plotWidth  = 860
	plotLeft   = 120 // names
	plotRight  = 90  // times beside the longest bar
	plotTop    = 40
	barHeight  = 15
	barPitch   = 18
	groupTitle = 24
	groupGap   = 12
)

// writePlot writes the results as bars on a logarithmic scale of seconds, about below
// them.
func writePlot(w io.Writer, about []string, results []result) error {
	low, high := scale(results)
	x := func(s float64) float64 {
		return plotLeft + (plotWidth-plotLeft-plotRight)*(math.Log10(s)-low)/(high-low)
	}
	var body strings.Builder
	text := func(x, y float64, anchor, style, s string) {
		fmt.Fprintf(&body, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, style, html.EscapeString(s))
	}
	y := float64(plotTop)
	for _, r := range results {
		y += groupTitle
		text(plotLeft, y-8, "start", `font-weight="bold"`, r.scenario)
		for _, e := range r.entries {
			text(plotLeft-8, y+12, "end", "", e.name)
			end, colour := float64(plotLeft), colourOf(e.name)
			if e.counts() {
				end = x(e.median())
				fmt.Fprintf(&body, `<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n", plotLeft, y, end-plotLeft, barHeight, colour)
			}
			text(end+6, y+12, "start", "", timed(e))
			y += barPitch
		}
		y += groupGap
	}
	var grid strings.Builder
	for p := low; p <= high; p++ {
		at := x(math.Pow(10, p))
		fmt.Fprintf(&grid, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%.1f" stroke="#ddd"/>`+"\n", at, at, plotTop, y)
		fmt.Fprintf(&grid, `<text x="%.1f" y="%d" text-anchor="middle">%g s</text>`+"\n", at, plotTop-8, math.Pow(10, p))
	}
	for _, line := range about {
		y += barPitch
		text(8, y, "start", `font-size="11" fill="#555"`, line)
	}
	height := y + groupGap
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" viewBox="0 0 %[1]d %.0[2]f" font-family="sans-serif" font-size="12">
<title>popfetch beside its peers: seconds, logarithmic</title>
<rect width="100%%" height="100%%" fill="#fff"/>
%s%s</svg>
`, plotWidth, height, &grid, &body)
	return err
}

// scale is the powers of ten that all times lie between, at least one apart.
func scale(results []result) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, r := range results {
		for _, e := range r.entries {
			if e.counts() {
				power := math.Log10(max(e.median(), 0.0001))
				low, high = min(low, math.Floor(power)), max(high, math.Ceil(power))
			}
		}
	}
	if math.IsInf(low, 0) {
		return 0, 1
	}
	return low, max(high, low+1)
}

func colourOf(name string) string {
	switch name {
	case subject:
		return "#1f6fb4"
	case drainFloor, diskEntry:
		return "#aaa"
	}
	return "#e08a2e"
}
