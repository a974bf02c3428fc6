package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
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
	level    slog.Level // of the least important lines of log
	watches  *watches   // clients that see lines of log too
	json     bool       // data is JSON, and so is the log
	quiet    bool       // errors only
	verbose  bool       // each decision, and each error
	journal  bool       // err is the journal of systemd
	terminal bool       // somebody watches
	width    int        // columns of the terminal that out is; 0 = out is not a terminal
	checking bool       // the command is check, whose output a hint may refer to
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
	case p.terminal && !c.Bool("quiet"):
		shown := showProgress(p.err.(*os.File)) // a terminal is one
		return p.consoleOn(c, shown, shown)
	case !p.terminal && !c.Bool("once") && !p.journal:
		return p.consoleOn(c, timestamped{p.err}, new(progress))
	}
	return p.console(c)
}

func (p *program) consoleOn(c *cli.Context, w io.Writer, shown *progress) *console {
	style := logStyle{json: c.Bool("json"), journal: p.journal}
	level, clients := level(c.Count("verbose"), c.Bool("quiet")), new(watches)
	p.last = &console{
		out: p.out, err: w,
		log:   slog.New(&watchedLog{Handler: newLog(w, style, level).Handler(), watches: clients}),
		level: level, watches: clients,
		json: style.json, journal: style.journal, quiet: c.Bool("quiet"), verbose: c.Count("verbose") > 0 && !c.Bool("quiet"),
		terminal: p.terminal, width: p.width, progress: shown,
	}
	return p.last
}

// writeJSON writes one object as one line. An error is remembered by the
// stream: mail does not wait for a standard output that is gone.
func (con *console) writeJSON(v any) {
	var line bytes.Buffer // for a single Write
	if err := encode(&line, v); err != nil {
		con.tell(slog.LevelError, "", err.Error())
		return
	}
	con.out.Write(line.Bytes())
}

// complain writes an error: one line for each reason, and below it what the user can do.
// A hint that has been given for the same account is not repeated. In JSON it is one
// object with the class and the exit code.
func (con *console) complain(err error) {
	name, errs := "", []error{err}
	if account, ok := errors.AsType[*fetch.AccountError](err); ok {
		name, errs = account.Account, account.Errs
	}
	lines := reasons(errs, con.checking)
	if con.json {
		con.tell(slog.LevelError, name, strings.Join(lines, "; "),
			"class", fetch.Classify(err).String(), "exit_code", exitCodeOf(err))
		return
	}
	for _, line := range lines {
		con.tell(slog.LevelError, name, line)
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
