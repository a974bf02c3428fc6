//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"popfetch/state"
)

// popfetch is the path of the popfetch to measure.
type popfetch string

func (popfetch) name() string         { return subject }
func (popfetch) limit() time.Duration { return 0 }

func (p popfetch) setUp(home string, j job) (command, error) {
	var conf bytes.Buffer
	file := filepath.Join(home, "config.toml")
	db := filepath.Join(home, "state.db")
	fmt.Fprintf(&conf, "parallel = %d\nparallel_per_host = %[1]d\nstate = %q\n", j.parallel, db)
	for _, user := range j.users {
		fmt.Fprintf(&conf, "[account.%s]\nserver = %q\nuser = %q\npassword = %q\nkeep = %t\nmaildir = %q\n",
			user, net.JoinHostPort(j.host, j.port), user, password, !j.dele, filepath.Join(home, "Mail", user))
		if j.ca == "" {
			fmt.Fprintf(&conf, "tls = \"none\"\n")
		} else {
			fmt.Fprintf(&conf, "tls = \"implicit\"\ntls_ca_file = %q\n", j.ca)
		}
	}
	err := os.WriteFile(file, conf.Bytes(), 0o600)
	if err == nil && j.known != nil {
		err = p.remember(db, j)
	}
	return command{
		argv: []string{string(p), "--once", "--json", "--config", file},
		env:  []string{"HOME=" + home},
	}, err
}

// remember writes a state file in which all messages of the job are delivered.
func (popfetch) remember(db string, j job) error {
	store, err := state.File{Path: db}.Open()
	if err != nil {
		return err
	}
	defer store.Close()
	for user, held := range j.known {
		change := state.Change{Begin: true}
		for _, m := range held {
			change.Put = append(change.Put, state.Entry{ID: m.id, Record: state.Record{Delivered: time.Now(), Octets: m.octets}})
		}
		if err := store.Maildrop(state.Key(user, j.host)).Commit(change); err != nil {
			return err
		}
	}
	return store.Close()
}

func (popfetch) read(home string, stdout []byte) (outcome, error) {
	var o outcome
	lines := json.NewDecoder(bytes.NewReader(stdout))
	reported := 0
	for {
		var poll struct {
			Delivered  int `json:"delivered"`
			RoundTrips int `json:"round_trips"`
		}
		if err := lines.Decode(&poll); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return o, err
		}
		reported += poll.Delivered
		o.roundTrips = max(o.roundTrips, poll.RoundTrips)
	}
	var err error
	o.delivered, err = inMaildirs(home)
	if err == nil && o.delivered != reported {
		err = fmt.Errorf("popfetch reports %d deliveries, there are %d", reported, o.delivered)
	}
	return o, err
}
