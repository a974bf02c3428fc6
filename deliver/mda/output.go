package mda

import (
	"fmt"
	"strings"
)

const (
	maxOutput = 4 << 10 // octets that are kept of what a program prints
	maxSaid   = 512     // octets of it in an error
)

// output keeps the beginning of what a program prints. It reads and drops the rest, so that
// the program is not blocked.
type output struct{ kept []byte }

func (o *output) Write(p []byte) (int, error) {
	o.kept = append(o.kept, p[:min(len(p), maxOutput-len(o.kept))]...)
	return len(p), nil
}

// said returns the first line that is not blank, quoted, after ": ", for the end of an error
// text. It returns "" if there is none.
func (o *output) said() string {
	for line := range strings.Lines(string(o.kept)) {
		if line = strings.TrimSpace(line); line != "" {
			return fmt.Sprintf(": %q", line[:min(len(line), maxSaid)])
		}
	}
	return ""
}
