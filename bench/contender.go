//go:build linux

package main

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// job is what every contender has to do in one run.
type job struct {
	host, port string
	ca         string // PEM file to trust; TLS from the first octet on. "" = clear text
	users      []string
	parallel   int                  // accounts to poll at the same time, for contenders that can
	known      map[string][]message // by user, what was fetched before; nil = nothing
	dele       bool                 // delete what was fetched
	nobody     *owner               // runs contenders that refuse root; nil if the benchmark does not run as root
}

// contender is a program that fetches mail.
type contender interface {
	name() string
	// limit is how long one run may take; 0 = the limit of the contest.
	limit() time.Duration
	// setUp writes configuration and state into the directory home and returns
	// the command that does the job.
	setUp(home string, j job) (command, error)
	// read returns what a run that printed stdout has done.
	read(home string, stdout []byte) (outcome, error)
}

// outcome is what a run has done.
type outcome struct {
	delivered  int
	roundTrips int // of the account with the most; 0 = not known
}

// inMaildirs counts the messages in all Maildirs of the directory home/Mail.
func inMaildirs(home string) (int, error) {
	dirs, err := filepath.Glob(filepath.Join(home, "Mail", "*", "new"))
	n := 0
	for _, dir := range dirs {
		list, err := os.ReadDir(dir)
		if err != nil {
			return 0, err
		}
		n += len(list)
	}
	return n, err
}

// makeMaildir makes one below home/Mail and returns its path.
func makeMaildir(home, name string) (string, error) {
	dir := filepath.Join(home, "Mail", name)
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// drain runs the floor of the network as a contender.
type drain struct{}

func (drain) name() string         { return drainFloor }
func (drain) limit() time.Duration { return 0 }

func (drain) setUp(_ string, j job) (command, error) {
	self, err := os.Executable()
	argv := []string{self, "drain", "-addr", net.JoinHostPort(j.host, j.port), "-password", password, "-parallel", strconv.Itoa(j.parallel)}
	if j.ca != "" {
		argv = append(argv, "-ca", j.ca)
	}
	if j.known == nil {
		argv = append(argv, "-retr")
	}
	if j.dele {
		argv = append(argv, "-dele")
	}
	return command{argv: append(argv, j.users...)}, err
}

func (drain) read(_ string, stdout []byte) (outcome, error) {
	n, err := strconv.Atoi(strings.TrimSpace(string(stdout)))
	return outcome{delivered: n}, err
}
