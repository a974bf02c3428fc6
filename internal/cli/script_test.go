package cli_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"popfetch/internal/cli"
)

// TestMain makes popfetch a command of the scripts: a separate process that runs this
// test binary.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"popfetch": func() { os.Exit(cli.Main(os.Args, os.Stdout, os.Stderr, "test")) },
		"measured": measured,
		"popinit":  popinit,
	})
}

// TestScripts runs the command line as a person or cron does. Besides the usual
// commands of testscript there are
//
//	popserver NAME [-flag...] USER=MAIL...   start a POP3 server, see startServer
//	faults NAME FAULT...                     what goes wrong there from the next session on
//	addmail NAME USER MAIL                   put more messages into a maildrop
//	maildrop NAME USER N                     N messages are left there
//	awaits NAME N PATTERN                    wait for N lines of the dialogue that match
//	anew NAME                                wait for the sessions that run; awaits counts from here
//	commands NAME                            what was sent to the server, to stdout
//	config FILE                              make FILE, with variables filled in, the configuration
//	exits CODE PROGRAM ARG...                run a program, which has to end with CODE
//	silent                                   the last program has written nothing at all
//	maildir DIR N                            DIR is a Maildir with N new messages, and nothing in tmp
//	start NAME PROGRAM ARG...                run a program in the background
//	shows NAME PATTERN                       wait until its standard error matches
//	signal NAME SIGNAL                       INT, TERM or HUP
//	hammer NAME SIGNAL                       send it again and again until the program has ended
//	exited NAME CODE                         wait for it, -1 = ended by a signal; its output becomes the last one
func TestScripts(t *testing.T) {
	restoreSignals()
	commands := map[string]func(*testscript.TestScript, bool, []string){
		"config":  config,
		"exits":   exits,
		"silent":  silent,
		"maildir": maildir,
	}
	maps.Copy(commands, serverCommands())
	maps.Copy(commands, processCommands())
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                commands,
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Values[worldKey{}] = &world{servers: make(map[string]*popServer), processes: make(map[string]*process)}
			return nil
		},
	})
}

// restoreSignals gives the programs that the test starts the usual reaction to
// signals that this process was started with as ignored, under nohup or in the
// background of a shell: exec(2) resets those that are caught, and no others.
// It holds until this process ends.
func restoreSignals() {
	c := make(chan os.Signal, 1)
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM} {
		if signal.Ignored(s) {
			signal.Notify(c, s)
		}
	}
}

// world is what one script has running.
type world struct {
	servers   map[string]*popServer
	processes map[string]*process
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// patience is how long a test waits for something that has to come. It is long
// enough for a machine that is busy with other tests; only a failing test waits that
// long.
const patience = 2 * time.Minute

// wants ends the script unless the command has least to most arguments (most 0 = no
// limit) and no "!".
func wants(ts *testscript.TestScript, neg bool, args []string, least, most int, usage string) {
	if neg || len(args) < least || most > 0 && len(args) > most {
		ts.Fatalf("usage: %s", usage)
	}
}

func number(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

func pattern(ts *testscript.TestScript, s string) *regexp.Regexp {
	re, err := regexp.Compile(s)
	ts.Check(err)
	return re
}

// config fills $NAME of the script's environment into a file, and nothing
// into $$NAME.
func config(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 1, 1, "config FILE")
	text := os.Expand(ts.ReadFile(args[0]), func(name string) string {
		if name == "$" {
			return "$"
		}
		return ts.Getenv(name)
	})
	file := ts.MkAbs(filepath.Join(ts.Getenv("HOME"), ".config", "popfetch", "config.toml"))
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o700))
	ts.Check(os.WriteFile(file, []byte(text), 0o600))
	ts.Check(os.Chmod(file, 0o600))
	ts.Setenv("CONFIG", file)
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 0, "exits CODE PROGRAM ARG...")
	checkCode(ts, ts.Exec(args[1], args[2:]...), number(ts, args[0]))
}

// checkCode ends the script if err is not that of a program that ended with
// the code.
func checkCode(ts *testscript.TestScript, err error, want int) {
	got := 0
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d (%v), want %d", got, err, want)
	}
}

func silent(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 0, 0, "silent")
	for _, stream := range []string{"stdout", "stderr"} {
		if text := ts.ReadFile(stream); text != "" {
			ts.Fatalf("%s is not empty", stream)
		}
	}
}

func maildir(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 2, "maildir DIR N")
	for part, want := range map[string]int{"tmp": 0, "new": number(ts, args[1]), "cur": 0} {
		dir := ts.MkAbs(filepath.Join(args[0], part))
		entries, err := os.ReadDir(dir)
		ts.Check(err)
		if len(entries) != want {
			ts.Fatalf("%s holds %d files, want %d", dir, len(entries), want)
		}
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			ts.Check(err)
			// For stdout after the command.
			fmt.Fprintf(ts.Stdout(), "%s\n", text)
		}
	}
}

// names returns the names of a directory in their order.
func names(ts *testscript.TestScript, dir string) []string {
	entries, err := os.ReadDir(ts.MkAbs(dir))
	ts.Check(err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	slices.Sort(all)
	return all
}
