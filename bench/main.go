//go:build linux

// Command bench compares popfetch with its peers. All fetch generated maildrops from one
// Dovecot, in turn. Two floors show what the machine can do at best: a client that discards
// the mail, and a writer that needs no network.
//
//	go run ./bench [-quick] [-out DIR] ./popfetch
//	go run ./bench -disk DIR
//	go run ./bench -readme README.md
//
// The first prints a table and writes it to DIR/table.md, and its figures to
// DIR/report.json. It needs Dovecot 2.3 with POP3, and root for
// the delay between server and clients. Peers that are not installed are left out. The
// second compares ways to make mail durable, and writes bench/disk.md. The third
// writes the summary of bench/report.json into a page.
//
// scenario.go lists the scenarios and their requirements, contest.go runs them;
// popfetch.go, peers.go, fdm.go and getmail.go configure the programs, drain.go and disk.go
// are the floors, netns.go and link.go the delay, dovecot.go and mailbox.go the server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := start(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// start runs the benchmark, or the part of it that the first argument names: bench starts
// itself again for those.
func start(args []string) error {
	if len(args) > 2 {
		switch args[0] {
		case "drain":
			return drainMain(args[1:])
		case "measure":
			return measureMain(args[1:])
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case o.readme != "":
		return updateReadme(o.readme, filepath.Join(o.out, "report.json"))
	case o.disk != "":
		return benchDisk(ctx, o)
	}
	return bench(ctx, o)
}

// options are those of the command line.
type options struct {
	quick  bool
	out    string // where the table and its figures go
	dir    string // for maildrops and Maildirs during the run
	runs   int    // of each contender in each scenario
	only   string // part of the names of the scenarios to play
	disk   string // compare ways to write in this directory, and nothing else
	readme string // write the summary into this page, and nothing else
	bin    string // popfetch
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: go run ./bench [flags] ./popfetch")
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.quick, "quick", false, "five scenarios, about two minutes")
	flags.StringVar(&o.out, "out", "bench", "`directory` for the table and its figures")
	flags.StringVar(&o.dir, "dir", "/var/tmp", "`directory` on a disk for mail during the run; 15 GiB")
	flags.IntVar(&o.runs, "runs", 3, "runs of each program in each scenario")
	flags.StringVar(&o.only, "only", "", "only scenarios with this `text` in their names")
	flags.StringVar(&o.disk, "disk", "", "only compare ways to make mail durable, in this `directory`")
	flags.StringVar(&o.readme, "readme", "", "only write the summary of the last figures into this `file`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	alone := o.disk != "" || o.readme != ""
	if o.runs < 1 || alone && flags.NArg() != 0 || !alone && flags.NArg() != 1 {
		flags.Usage()
		return o, errors.New("name one popfetch, and at least one run")
	}
	if alone {
		return o, nil
	}
	path, err := exec.LookPath(flags.Arg(0))
	if err != nil {
		return o, err
	}
	o.bin, err = filepath.Abs(path)
	return o, err
}

// bench runs the scenarios and writes the results.
func bench(ctx context.Context, o options) error {
	scenarios := fullScenarios()
	limit, slow := 35*time.Second, 5*time.Second
	if o.quick {
		scenarios = quickScenarios()
		limit, slow = 3*time.Second, 2*time.Second
	}
	scenarios = slices.DeleteFunc(scenarios, func(s scenario) bool { return !strings.Contains(s.name, o.only) })

	dir, err := os.MkdirTemp(o.dir, "popbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // for the users of the server
		return err
	}
	network, err := startNetwork()
	if err != nil {
		return fmt.Errorf("delay between server and clients: %w", err)
	}
	defer network.close()
	server, err := startDovecot(dir, network.far, "127.0.0.1", serverAddr)
	if err != nil {
		return err
	}
	defer server.Close()

	there, missing := peers()
	if len(missing) > 0 {
		fmt.Fprintf(os.Stderr, "bench: not installed: %s; the peers that need them are left out\n", strings.Join(missing, " "))
	}
	c := &contest{
		server: server, network: network, dir: dir, contenders: append([]contender{drain{}, popfetch(o.bin)}, there...),
		runs: o.runs, limit: limit, slow: slow, progress: os.Stderr,
	}
	r := report{About: about(o.bin, dir, c.contenders)}
	for _, s := range scenarios {
		played, err := c.play(ctx, s)
		if err != nil {
			fmt.Print(r.table()) // the results so far; the files stay as they are
			return fmt.Errorf("%s: %w", s.name, err)
		}
		r.Results = append(r.Results, played)
	}
	return errors.Join(r.write(o.out), r.failures())
}

// failures returns an error for each scenario in which popfetch or a floor failed. Failures
// of peers only show in the table.
func (r report) failures() error {
	var errs []error
	for _, played := range r.Results {
		for _, name := range []string{subject, drainFloor} {
			if e := played.find(name); e != nil && e.Failed != "" {
				errs = append(errs, fmt.Errorf("%s: %s: %s", played.Scenario, name, e.Failed))
			}
		}
	}
	return errors.Join(errs...)
}

// write writes the figures and the table into the directory out, and the table to standard
// output.
func (r report) write(out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	table := r.table()
	fmt.Print(table)
	return errors.Join(
		r.save(filepath.Join(out, "report.json")),
		os.WriteFile(filepath.Join(out, "table.md"), []byte(table), 0o644),
	)
}
