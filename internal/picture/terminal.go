//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

const (
	columns = 96          // of the terminal
	limit   = time.Minute // for one command
)

// onTerminal runs a command on a pseudo-terminal, answers what it asks, and returns what it
// has written there.
func onTerminal(cmd *exec.Cmd, answers []answer) (string, error) {
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: columns})
	if err != nil {
		return "", err
	}
	defer terminal.Close()
	late := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	defer late.Stop()
	output, asked, buf := "", 0, make([]byte, 4096)
	for {
		n, err := terminal.Read(buf)
		output += string(buf[:n])
		if len(answers) > 0 && strings.Contains(output[asked:], answers[0].question) {
			asked = len(output)
			for end := time.Now().Add(limit); answers[0].secret && echoes(terminal) && time.Now().Before(end); {
				time.Sleep(time.Millisecond) // the kernel does not signal such a change
			}
			if _, err := terminal.WriteString(answers[0].typed + "\n"); err != nil {
				return output, err
			}
			answers = answers[1:]
		}
		if errors.Is(err, syscall.EIO) { // the program has ended
			break
		}
		if err != nil {
			return output, err
		}
	}
	if err := cmd.Wait(); err != nil {
		return output, err
	}
	if strings.Contains(output, password) {
		return "", errors.New("the password is shown")
	}
	if len(answers) > 0 {
		return output, fmt.Errorf("it did not ask: %s", answers[0].question)
	}
	return output, nil
}

func echoes(terminal *os.File) bool {
	settings, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	return err == nil && settings.Lflag&unix.ECHO != 0
}

// screen returns the lines that a terminal shows after output: it obeys carriage returns,
// "cursor up" and "erase to the end", which is what popfetch writes, and drops other
// sequences.
func screen(output string) []string {
	lines, row, column := [][]rune{nil}, 0, 0
	for text := []rune(output); len(text) > 0; {
		c := text[0]
		text = text[1:]
		switch {
		case c == '\r':
			column = 0
		case c == '\n':
			if row++; row == len(lines) {
				lines = append(lines, nil)
			}
		case c == 0x1b && len(text) > 0 && text[0] == '[':
			end := 1
			for end < len(text)-1 && (text[end] < '@' || text[end] > '~') {
				end++
			}
			switch number := 1; text[end] {
			case 'A':
				fmt.Sscan(string(text[1:end]), &number)
				row = max(row-number, 0)
			case 'J':
				lines = lines[:row+1]
				fallthrough
			case 'K':
				lines[row] = lines[row][:min(column, len(lines[row]))]
			}
			text = text[end+1:]
		case c >= ' ':
			for len(lines[row]) <= column {
				lines[row] = append(lines[row], ' ')
			}
			lines[row][column] = c
			column++
		}
	}
	var all []string
	for _, line := range lines {
		all = append(all, strings.TrimRight(string(line), " "))
	}
	for len(all) > 0 && all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}
