//go:build linux

package main

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPictureShowsWhatPopfetchPrintsToday(t *testing.T) {
	popfetch := filepath.Join(t.TempDir(), "popfetch")
	if out, err := exec.Command("go", "build", "-o", popfetch, "popfetch").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	shown, err := play(popfetch, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	picture, err := os.ReadFile("../../docs/session.svg")
	if err != nil {
		t.Fatal(err)
	}
	// Ports and times differ, and with them the width of columns.
	varies := regexp.MustCompile(`\d+|\s+`)
	plain := func(s string) string {
		return varies.ReplaceAllStringFunc(s, func(s string) string {
			if strings.TrimSpace(s) == "" {
				return " "
			}
			return "0"
		})
	}
	want := plain(strings.Join(texts(t, draw(shown)), "\n"))
	if got := plain(strings.Join(texts(t, string(picture)), "\n")); got != want {
		t.Errorf("docs/session.svg is out of date, make picture draws it: it shows\n%s\nand popfetch prints\n%s", got, want)
	}
}

// texts returns the lines of an image.
func texts(t *testing.T, svg string) []string {
	t.Helper()
	var image struct {
		Text []string `xml:"text"`
	}
	if err := xml.Unmarshal([]byte(svg), &image); err != nil {
		t.Fatal(err)
	}
	return image.Text
}

func TestScreenObeysWhatMovesTheCursor(t *testing.T) {
	for output, want := range map[string][]string{
		"a\r\nb\r\n":                        {"a", "b"},
		"50 %\r100 %\r\n":                   {"100 %"},
		"one\r\ntwo\r\n\x1b[2A\x1b[Jthree":  {"three"},
		"bar\r\n\x1b[1A\x1b[J\x1b[?25hdone": {"done"},
		"\x1b[1mbold\x1b[0m":                {"bold"},
		"long line\r\x1b[Kx":                {"x"},
		"\x1b":                              nil,
	} {
		if got := screen(output); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", output, got, want)
		}
	}
}

func TestImageIsXMLWhateverIsShown(t *testing.T) {
	line := `<&>"' ä`
	if got := texts(t, draw([]string{line})); !slices.Equal(got, []string{line}) {
		t.Errorf("%q", got)
	}
}
