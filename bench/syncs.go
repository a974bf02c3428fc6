//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// traced runs a command under strace, which counts its syncs into a file below home.
// sync_file_range does not count: it starts the write-out and promises nothing.
func traced(home string, c command) command {
	c.argv = append([]string{"strace", "-f", "-qq", "-c", "-o", syncsFile(home), "-e", "trace=fsync,fdatasync,sync,syncfs"}, c.argv...)
	return c
}

func syncsFile(home string) string { return filepath.Join(home, "syncs") }

// countSyncs reads the file that a traced command left.
func countSyncs(home string) (int, error) {
	text, err := os.ReadFile(syncsFile(home))
	if err != nil {
		return 0, err
	}
	return sumCalls(text)
}

// sumCalls adds up the calls in a table of strace -c: "% time", "seconds", "usecs/call",
// "calls", "errors" if there are any, and the name. It is empty without calls.
func sumCalls(table []byte) (int, error) {
	sum := 0
	for line := range bytes.Lines(table) {
		words := bytes.Fields(line)
		if len(words) < 5 || !bytes.HasSuffix(words[len(words)-1], []byte("sync")) && !bytes.HasSuffix(words[len(words)-1], []byte("syncfs")) {
			continue
		}
		n, err := strconv.Atoi(string(words[3]))
		if err != nil {
			return 0, fmt.Errorf("strace counts %q: %w", line, err)
		}
		sum += n
	}
	return sum, nil
}
