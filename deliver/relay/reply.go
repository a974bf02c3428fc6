package relay

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// reply is what the server says to one step.
type reply struct {
	code  int
	lines []string // without code
}

// Refusal is a reply that does not mean success.
type Refusal struct {
	Step     string // a command or what was sent
	Code     int
	Enhanced string // enhanced status code (RFC 3463), "" = none
	Text     string
}

// Error implements error. It is one line.
func (r *Refusal) Error() string {
	text := r.Text
	if len(text) > maxQuote {
		text = text[:maxQuote] + "..."
	}
	return fmt.Sprintf("%s: the server said %d %q", r.Step, r.Code, text)
}

// Passing reports whether another attempt may succeed. An unknown code may pass.
func (r *Refusal) Passing() bool { return r.Code/100 != 5 }

// refusal returns r as the Refusal of a step.
func (c *Client) refusal(r *reply, step string) *Refusal {
	text := c.secrets.Conceal(strings.Join(r.lines, "\n"))
	refused := &Refusal{Step: step, Code: r.code, Text: text}
	first, _, _ := strings.Cut(text, " ")
	if parts := strings.Split(first, "."); len(parts) == 3 && (parts[0] == "2" || parts[0] == "4" || parts[0] == "5") {
		refused.Enhanced = first
		// Each line repeats it. RFC 2034 section 4
		refused.Text = first + " " + strings.ReplaceAll(strings.TrimPrefix(text, first+" "), "\n"+first+" ", "\n")
	}
	return refused
}

const (
	// maxLine is how many octets of a line of a reply are kept, with room to spare.
	// RFC 5321 section 4.5.3.1.5
	maxLine = 4 << 10
	// maxQuote is how many octets of a reply an error shows.
	maxQuote = 300
)

// do sends a command and reads its reply. A reply with a code of another hundred than want
// is a *Refusal.
func (c *Client) do(line string, want int) (*reply, error) {
	if err := c.send(line); err != nil {
		return nil, err
	}
	return c.expect(line, want, c.command)
}

// send sends a command.
func (c *Client) send(line string) error {
	c.opts.Log.Debug("client", "line", line)
	c.out.WriteString(line + "\r\n") // an error stays in out
	return c.flush()
}

func (c *Client) flush() error { return c.out.Flush() }

// expect reads the reply to a step, for which the server has the time limit. After an error
// of the connection the reply is what has come of it, or nil.
func (c *Client) expect(step string, want int, limit time.Duration) (*reply, error) {
	r, err := c.reply(limit)
	if err != nil {
		return r, err
	}
	if r.code/100 != want/100 {
		return nil, c.refusal(r, step)
	}
	return r, nil
}

// reply reads one reply. RFC 5321 section 4.2.1. If the reply breaks off, it is what came
// before: the first line has the code of all.
func (c *Client) reply(limit time.Duration) (*reply, error) {
	c.conn.limitRead(limit)
	r := new(reply)
	for {
		line, err := c.line()
		if err != nil {
			return r, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		code, convErr := strconv.Atoi(text[:min(3, len(text))])
		if len(text) < 3 || convErr != nil || code < 200 || code > 599 || len(text) > 3 && text[3] != ' ' && text[3] != '-' ||
			r.code != 0 && r.code != code {
			return nil, fmt.Errorf("the server sent %.*q, which is not a reply", maxQuote, c.secrets.Conceal(text))
		}
		r.code = code
		r.lines = append(r.lines, text[min(4, len(text)):])
		if len(text) == 3 || text[3] == ' ' {
			if c.opts.Log.Enabled(context.Background(), slog.LevelDebug) {
				c.opts.Log.Debug("server", "code", code, "text", c.secrets.Conceal(strings.Join(r.lines, "\n")))
			}
			return r, nil
		}
	}
}

// line reads a line, of which it returns the first maxLine octets.
func (c *Client) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, err
	}
	line = bytes.Clone(line)
	for err == bufio.ErrBufferFull { // maxReplies bounds it
		_, err = c.in.ReadSlice('\n')
	}
	return line, err
}
