package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"popfetch/internal/secret"
)

// dialogue asks the user who sits at the terminal.
type dialogue struct {
	in       *os.File
	out      io.Writer
	terminal *secret.Terminal // for passwords
	silent   bool             // ask nobody
}

// attended reports whether somebody can be asked.
func (d *dialogue) attended() bool { return !d.silent && d.terminal.Attended() }

// errInputEnded is the end of the input where an answer was expected, as by Ctrl-D.
var errInputEnded = errors.New("the input ended; nothing was written")

// ask returns the answer to a question, without blanks around it; usual if it is empty.
func (d *dialogue) ask(ctx context.Context, question, usual string) (string, error) {
	if usual != "" {
		question += " [" + usual + "]"
	}
	fmt.Fprintf(d.out, "%s: ", printable(question))
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() { // the read cannot be interrupted
		line, err := readLine(d.in)
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			fmt.Fprintln(d.out)
			return "", errInputEnded
		}
		if answer := strings.TrimSpace(r.line); answer != "" {
			return answer, nil
		}
		return usual, nil
	case <-ctx.Done():
		fmt.Fprintln(d.out)
		return "", context.Cause(ctx)
	}
}

// longestAnswer bounds an answer, in octets.
const longestAnswer = 4096

// readLine reads up to the end of a line, and nothing of what follows: that may be the
// answer to a question about a password.
func readLine(r io.Reader) (string, error) {
	var line []byte
	one := make([]byte, 1)
	for len(line) < longestAnswer {
		n, err := r.Read(one)
		switch {
		case n == 1 && one[0] == '\n':
			return string(line), nil
		case n == 1:
			line = append(line, one[0])
		case err != nil:
			return "", err
		}
	}
	return "", errors.New("the line is too long")
}

// agrees asks a question whose answer is yes or no.
func (d *dialogue) agrees(ctx context.Context, question, usual string) (bool, error) {
	for {
		answer, err := d.ask(ctx, question+" (yes or no)", usual)
		if err != nil {
			return false, err
		}
		switch strings.ToLower(answer) {
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
	}
}
