package mda

import (
	"fmt"
	"strings"
)

const (
	maxOutput = 4 << 10 // kept of what a program prints
	maxSaid   = 512     // shown of it in an error
)

// output keeps the beginning of what a program prints, and takes the rest so
// that the program does not wait.
type output struct{ kept []byte }

func (o *output) Write(p []byte) (int, error) {
	o.kept = append(o.kept, p[:min(len(p), maxOutput-len(o.kept))]...)
	return len(p), nil
}

// said returns the first line that is not blank for the end of an error text,
// quoted.
func (o *output) said() string {
	for line := range strings.Lines(string(o.kept)) {
		if line = strings.TrimSpace(line); line != "" {
			return fmt.Sprintf(": %q", line[:min(len(line), maxSaid)])
		}
	}
	return ""
}
