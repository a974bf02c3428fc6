//go:build linux

// Command bench measures popfetch beside its peers: fetching from one Dovecot with
// generated maildrops, interleaved, and beside two floors that nobody can go below,
// a client that throws mail away and a writer that needs no network.
//
//	go run ./bench [-quick] [-out DIR] ./popfetch
//
// It prints a table and writes it to DIR/table.md, with a plot in DIR/plot.svg. It
// needs Dovecot 2.3 with POP3. Peers that are not installed are left out.
//
// scenario.go says what is played, contest.go how; contender.go, popfetch.go and
// peers.go know the programs, drain.go and disk.go are the floors, relay.go is the
// distance, dovecot.go and mailbox.go the server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
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

// start does what the first argument says: bench runs parts of itself as processes
// of their own.
func start(args []string) error {
	if len(args) > 1 {
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
	if errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if o.disk != "" {
		return benchDisk(ctx, o)
	}
	return bench(ctx, o)
}

// options are those of the command line.
type options struct {
	quick bool
	out   string // where table and plot go
	dir   string // where maildrops and Maildirs go meanwhile
	runs  int
	only  string // part of the names of the scenarios to play
	disk  string // compare ways to write in this directory, and nothing else
	bin   string // popfetch, "" with disk
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: go run ./bench [flags] ./popfetch")
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.quick, "quick", false, "three scenarios, about a minute")
	flags.StringVar(&o.out, "out", "bench", "`directory` for table.md and plot.svg")
	flags.StringVar(&o.dir, "dir", "/var/tmp", "`directory` on a disk for mail, meanwhile")
	flags.IntVar(&o.runs, "runs", 3, "runs of everybody in each scenario")
	flags.StringVar(&o.only, "only", "", "only scenarios with this `text` in their names")
	flags.StringVar(&o.disk, "disk", "", "only compare ways to make mail durable, in this `directory`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.disk != "" && flags.NArg() == 0 && o.runs > 0 {
		return o, nil
	}
	if flags.NArg() != 1 || o.runs < 1 {
		flags.Usage()
		return o, errors.New("name one popfetch, and at least one run")
	}
	path, err := exec.LookPath(flags.Arg(0))
	if err != nil {
		return o, err
	}
	o.bin, err = filepath.Abs(path)
	return o, err
}

// bench plays the scenarios and writes what came of them.
func bench(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp(o.dir, "popbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // for the users of the server
		return err
	}
	server, err := startDovecot(dir)
	if err != nil {
		return err
	}
	defer server.stop()

	there, missing := peers()
	if len(missing) > 0 {
		fmt.Fprintf(os.Stderr, "bench: not installed: %s; the peers that need them are left out\n", strings.Join(missing, " "))
	}
	c := &contest{
		server: server, dir: dir, contenders: append([]contender{drain{}, popfetch(o.bin)}, there...),
		runs: o.runs, limit: 10 * time.Minute, patience: time.Minute, progress: os.Stderr,
	}
	scenarios := fullScenarios()
	if o.quick {
		scenarios = quickScenarios()
		c.limit, c.patience = 10*time.Second, 4*time.Second
	}
	var results []result
	for _, s := range scenarios {
		if !strings.Contains(s.name, o.only) {
			continue
		}
		r, err := c.play(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		results = append(results, r)
	}
	return errors.Join(write(o.out, about(o.bin, dir, c.contenders), results), failures(results))
}

// failures says in which scenarios popfetch or a floor has failed. A peer that does is only shown.
func failures(results []result) error {
	var errs []error
	for _, r := range results {
		for _, name := range []string{subject, drainFloor} {
			if e := r.find(name); e != nil && e.failed != "" {
				errs = append(errs, fmt.Errorf("%s: %s: %s", r.scenario, name, e.failed))
			}
		}
	}
	return errors.Join(errs...)
}

// write writes table and plot into the directory out, and the table to standard output.
func write(out string, about []string, results []result) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	table, err := os.Create(filepath.Join(out, "table.md"))
	if err != nil {
		return err
	}
	err = writeTable(io.MultiWriter(table, os.Stdout), about, results)
	if err := errors.Join(err, table.Close()); err != nil {
		return err
	}
	plot, err := os.Create(filepath.Join(out, "plot.svg"))
	if err != nil {
		return err
	}
	return errors.Join(writePlot(plot, about, results), plot.Close())
}
