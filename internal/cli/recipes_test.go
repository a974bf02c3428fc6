package cli

import (
	"regexp"
	"strings"
	"testing"
)

// fence is a block of code of a Markdown file that shows commands.
var fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$|^ {4}\\S[^\n]*$|`popfetch [^`]+`")

// TestCommandsOfTheDocumentsExist reads the commands in the blocks and in backquotes.
func TestCommandsOfTheDocumentsExist(t *testing.T) {
	for doc, least := range map[string]int{"README.md": 30, "docs/recipes.md": 30} {
		seen := 0
		for _, block := range fence.FindAllString(readDoc(t, doc), -1) {
			// A continued line is one, and a macro of mutt types on a keyboard.
			block = strings.NewReplacer("\\\n", " ", "<shell-escape>", "\n", "<enter>", "\n", "`", "").Replace(block)
			if strings.Contains(block, "demo:") {
				continue // what popfetch prints
			}
			for line := range strings.Lines(block) {
				if quoted := strings.Index(line, `"popfetch `); quoted >= 0 { // in elisp
					line = strings.ReplaceAll(line[quoted:], `"`, "")
				}
				line = strings.ReplaceAll(strings.TrimSpace(line), "...]", "]")
				if !regexp.MustCompile(`(^|[ /(])popfetch [a-z-]`).MatchString(line) || strings.HasPrefix(line, "popfetch:") || strings.HasPrefix(line, "podman run") {
					continue
				}
				for _, call := range popfetchCalls(line) {
					if len(call) == 1 || len(call) == 2 && call[1] == "state" {
						continue // a command in prose
					}
					seen++
					if _, err := understood(call); err != nil {
						t.Errorf("%s: %q: %v", doc, line, err)
					}
				}
			}
		}
		if seen < least {
			t.Errorf("%s shows only %d commands", doc, seen)
		}
	}
}
