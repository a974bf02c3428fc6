//go:build linux

package main

import (
	"fmt"
	"html"
	"strings"
)

// Sizes in pixels.
const (
	lineHeight = 19
	charWidth  = 8.43 // of 14 pixels of a monospaced font
	margin     = 16
)

// draw returns an SVG image of lines on a terminal: light text on its own dark ground, so
// that it can be read on a page of any colour. A line that begins with "$ " is a command.
func draw(lines []string) string {
	longest := 80
	for _, line := range lines {
		longest = max(longest, len([]rune(line)))
	}
	width, height := int(float64(longest)*charWidth)+2*margin, len(lines)*lineHeight+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="popfetch in a terminal">
<style>
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d8dee9; white-space: pre }
.command { fill: #a3d977; font-weight: bold }
</style>
<rect width="100%%" height="100%%" rx="8" fill="#20242c"/>
`, width, height, width, height)
	for i, line := range lines {
		class := ""
		if strings.HasPrefix(line, "$ ") {
			class = ` class="command"`
		}
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" xml:space=\"preserve\"%s>%s</text>\n", margin, margin+(i+1)*lineHeight-5, class, html.EscapeString(line))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
