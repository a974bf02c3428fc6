package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// say writes one line of information to standard error.
func (con *console) say(format string, args ...any) {
	con.tell(slog.LevelInfo, "", fmt.Sprintf(format, args...))
}

// tell writes one line about an account, "" for none, to standard error: an object if
// output is JSON, otherwise words, for the journal with their priority (sd-daemon(3)).
func (con *console) tell(level slog.Level, account, text string, attrs ...any) {
	if con.json {
		log := newLog(con.err, logStyle{json: true}, slog.LevelDebug)
		if account != "" {
			log = log.With("account", account)
		}
		log.Log(context.Background(), level, text, attrs...)
		return
	}
	if account != "" {
		text = account + ": " + text
	}
	fmt.Fprintf(con.err, "%s%s\n", linePrefix(con.journal, level), text)
}

// linePrefix is what a line of words begins with: the name of the program, or in the
// journal, which has that, the priority.
func linePrefix(journal bool, level slog.Level) string {
	if !journal {
		return "popfetch: "
	}
	return fmt.Sprintf("<%d>", priority(level))
}

// priority is that of a line in the journal.
func priority(level slog.Level) journal.Priority {
	switch {
	case level >= slog.LevelError:
		return journal.PriErr
	case level >= slog.LevelWarn:
		return journal.PriWarning
	case level >= levelNotice:
		return journal.PriNotice
	case level >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}

// levelNotice is what a user wants to know although nothing is wrong.
const levelNotice = slog.LevelInfo + 2

// maxReasons is how many reasons of one account are shown.
const maxReasons = 10

// reasons returns the lines that say what is wrong with an account: one or more for each
// reason, and what the user can do once.
func reasons(errs []error, checking bool) (lines []string) {
	given := make(map[string]bool)
	for i, err := range errs {
		if i == maxReasons {
			return append(lines, fmt.Sprintf("and %d more", len(errs)-i))
		}
		for line := range strings.Lines(err.Error()) {
			lines = append(lines, printable(strings.TrimSuffix(line, "\n")))
		}
		if h := hint(err, checking); h != "" && !given[h] {
			given[h] = true
			lines = append(lines, "hint: "+printable(h))
		}
	}
	return lines
}
