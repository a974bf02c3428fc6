package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/urfave/cli/v2"

	"popfetch/fetch"
)

// console is how one command talks to its user: data goes to standard output,
// messages and the log to standard error. It is complete before the command
// does anything and stays the same until it ends.
type console struct {
	out      io.Writer // data
	err      io.Writer // messages
	log      *slog.Logger
	json     bool // data is JSON, and so is the log
	quiet    bool // errors only
	terminal bool // somebody watches
	width    int  // columns of the terminal that out is; 0 = out is not a terminal
	checking bool // the command is check, whose output a hint may refer to
	progress *progress
}

// console returns the console of a command that prints a result and ends.
func (p *program) console(c *cli.Context) *console {
	return p.consoleOn(c, p.err, new(progress))
}

// pollConsole returns the console of a command that polls. On a terminal it
// shows the progress of each account unless the user has asked for other
// output. The lines of a daemon begin with the time unless something else adds
// it. The caller closes progress after the last poll.
func (p *program) pollConsole(c *cli.Context) *console {
	switch {
	case c.Bool("json"):
	case p.terminal && !c.Bool("quiet") && c.Count("verbose") == 0:
		shown := showProgress(p.err)
		return p.consoleOn(c, shown, shown)
	case !p.terminal && !c.Bool("once") && !readerAddsTime():
		return p.consoleOn(c, timestamped{p.err}, new(progress))
	}
	return p.console(c)
}

func (p *program) consoleOn(c *cli.Context, w io.Writer, shown *progress) *console {
	return &console{
		out: p.out, err: w,
		log:  newLog(w, c.Bool("json"), level(c.Count("verbose"), c.Bool("quiet"))),
		json: c.Bool("json"), quiet: c.Bool("quiet"), terminal: p.terminal, width: p.width, progress: shown,
	}
}

// say writes one line to standard error.
func (con *console) say(format string, args ...any) {
	fmt.Fprintf(con.err, "popfetch: "+format+"\n", args...)
}

// writeJSON writes one object as one line. An error is remembered by the
// stream: mail does not wait for a standard output that is gone.
func (con *console) writeJSON(v any) {
	var line bytes.Buffer // for a single Write
	if err := encode(&line, v); err != nil {
		con.say("%v", err)
		return
	}
	con.out.Write(line.Bytes())
}

// maxReasons is how many reasons of one account are shown.
const maxReasons = 10

// complain writes an error: one line for each reason, and below it what the
// user can do. A hint that has been given for the same account is not repeated.
func (con *console) complain(err error) {
	given := make(map[string]bool)
	var account *fetch.AccountError
	if !errors.As(err, &account) {
		con.complainOnce("", err, given)
		return
	}
	for i, e := range account.Errs {
		if i == maxReasons {
			con.say("%s: and %d more", account.Account, len(account.Errs)-i)
			return
		}
		con.complainOnce(account.Account+": ", e, given)
	}
}

func (con *console) complainOnce(prefix string, err error, given map[string]bool) {
	for line := range strings.Lines(err.Error()) {
		con.say("%s%s", prefix, printable(strings.TrimSuffix(line, "\n")))
	}
	if h := hint(err, con.checking); h != "" && !given[h] {
		given[h] = true
		con.say("%shint: %s", prefix, printable(h))
	}
}

// acknowledge tells a user who watches that the signal which ends ctx has
// arrived. The function that it returns ends that.
func (con *console) acknowledge(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		if !con.terminal || !errors.As(context.Cause(ctx), new(*stopped)) {
			return
		}
		what := "stopping"
		if con.progress.receiving() {
			what = "finishing the message in hand"
		}
		// The terminal has echoed ^C, so the line does not begin at its left edge.
		fmt.Fprintf(con.err, "\rpopfetch: %s; press Ctrl-C again to stop now\n", what)
	})
}

// reportedError is an error that was already shown to the user.
type reportedError struct{ err error }

func (e *reportedError) Error() string { return e.err.Error() }

func (e *reportedError) Unwrap() error { return e.err }

// reported marks err as shown to the user; nil stays nil.
func reported(err error) error {
	if err == nil {
		return nil
	}
	return &reportedError{err}
}
