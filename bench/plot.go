//go:build linux

package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Measures of the plot in pixels.
const (
	plotWidth  = 980
	plotLeft   = 290 // names of the scenarios
	plotRight  = 120 // ratios
	plotTop    = 88  // title and legend
	plotRow    = 28
	plotBottom = 30
)

// plotMark is how the plot shows a contender.
type plotMark struct {
	name, colour string
	radius       float64 // 0 = a bar across the row
}

// plotMarks are those of all contenders, the later ones above the earlier ones.
func plotMarks() []plotMark {
	return []plotMark{
		{"fetchmail", "#c2571a", 5}, {"getmail", "#8a6bbe", 5}, {"fdm", "#3d9970", 5}, {"mpop", "#e8a33d", 5},
		{"floor", "#333", 0}, {subject, "#1f6fb4", 7.5},
	}
}

// plot is the report as a picture (SVG): a row for each scenario, a mark for each
// contender, on a logarithmic scale of seconds.
func (r report) plot() string {
	low, high := r.scale()
	height := plotTop + plotRow*len(r.Results) + plotBottom
	p := &picture{low: low, high: high}
	fmt.Fprintf(p, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="'DejaVu Sans', Verdana, sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="#fff"/>
`, plotWidth, height)
	p.text(16, 28, "start", `font-size="17" font-weight="bold"`, "popfetch beside its peers and the floor")
	p.text(plotWidth-16, 28, "end", `fill="#666"`, "seconds, logarithmic: left is faster")
	p.legend()
	p.grid(len(r.Results))
	for i, played := range r.Results {
		p.row(float64(plotTop+plotRow*i+plotRow/2), i, played)
	}
	p.WriteString("</svg>\n")
	return p.String()
}

// scale is the powers of ten that all times lie between, at least one apart.
func (r report) scale() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, played := range r.Results {
		for _, e := range played.Entries {
			if at, ok := e.position(); ok {
				power := math.Log10(max(at, 0.0001))
				low, high = min(low, math.Floor(power)), max(high, math.Ceil(power))
			}
		}
	}
	if math.IsInf(low, 0) {
		return 0, 1
	}
	return low, max(high, low+1)
}

// position is where on the scale the mark of an entry is, if it has one.
func (e *entry) position() (seconds float64, ok bool) {
	switch {
	case e.counts():
		return e.median(), true
	case e != nil && e.Failed == "" && e.Over > 0:
		return e.Over, true
	}
	return 0, false
}

// picture is an SVG picture under construction. low and high are the ends of its scale.
type picture struct {
	strings.Builder
	low, high float64
}

// x is where that many seconds are.
func (p *picture) x(seconds float64) float64 {
	return plotLeft + (plotWidth-plotLeft-plotRight)*(math.Log10(seconds)-p.low)/(p.high-p.low)
}

func (p *picture) text(x, y float64, anchor, style, s string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, style, html.EscapeString(s))
}

// mark draws one with its name as a tooltip, hollow for who was cut off.
func (p *picture) mark(m plotMark, x, y float64, hollow bool, title string) {
	fill, stroke := m.colour, "#fff"
	if hollow {
		fill, stroke = "#fff", m.colour
	}
	shape := fmt.Sprintf(`<circle cx="%.1f" cy="%.1f" r="%.1f" fill="%s" stroke="%s"`, x, y, m.radius, fill, stroke)
	if m.radius == 0 {
		shape = fmt.Sprintf(`<rect x="%.1f" y="%.1f" width="3" height="18" fill="%s"`, x-1.5, y-9, m.colour)
	}
	end := shape[1:strings.IndexByte(shape, ' ')]
	fmt.Fprintf(p, "%s><title>%s</title></%s>\n", shape, html.EscapeString(title), end)
}

func (p *picture) legend() {
	x := 22.0
	marks := plotMarks()
	for i := range marks {
		m := marks[len(marks)-1-i]
		p.mark(m, x, 52, false, m.name)
		p.text(x+13, 56, "start", "", m.name)
		x += 13 + 8*float64(len(m.name)) + 26
	}
	p.mark(plotMark{colour: "#666", radius: 5}, x, 52, true, "cut off")
	p.text(x+13, 56, "start", "", "cut off there")
	p.text(plotWidth-16, 56, "end", `fill="#666"`, "popfetch, and best peer / popfetch")
}

// grid draws the decades behind all rows.
func (p *picture) grid(rows int) {
	bottom := float64(plotTop + plotRow*rows)
	for power := p.low; power <= p.high; power++ {
		at := p.x(math.Pow(10, power))
		fmt.Fprintf(p, `<line x1="%.1f" x2="%.1[1]f" y1="%d" y2="%.1f" stroke="#ddd"/>`+"\n", at, plotTop, bottom)
		p.text(at, bottom+18, "middle", `fill="#666"`, fmt.Sprintf("%g s", math.Pow(10, power)))
	}
}

// row draws a scenario around the height y.
func (p *picture) row(y float64, number int, played result) {
	if number%2 == 0 {
		fmt.Fprintf(p, `<rect x="0" y="%.1f" width="%d" height="%d" fill="#1f6fb4" fill-opacity="0.05"/>`+"\n", y-plotRow/2, plotWidth, plotRow)
	}
	p.text(16, y+4, "start", "", played.Scenario)
	own := played.find(subject)
	for _, m := range plotMarks() {
		e := played.find(m.name)
		if m.radius == 0 {
			e = played.floor()
		}
		if at, ok := e.position(); ok {
			p.mark(m, p.x(at), y, !e.counts(), e.named()+" s")
		}
	}
	words := own.timed()
	if own.counts() {
		words += " s"
	}
	p.text(plotWidth-70, y+4, "end", `fill="#1f6fb4" font-weight="bold"`, words)
	if gain := ratio(played.best(), own); gain != none {
		p.text(plotWidth-16, y+4, "end", "", gain+"×")
	}
}
