package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/state"
)

// N01 of the fault matrix: a server that cannot be reached is a temporary error
// of its account that names the server; the other account is polled.
func TestRowN01ServerThatCannotBeReached(t *testing.T) {
	for name, cause := range map[string]error{
		"name not found":  &net.DNSError{Err: "no such host", Name: "pop.example.org", IsNotFound: true},
		"SERVFAIL":        &net.DNSError{Err: "server misbehaving", Name: "pop.example.org", IsTemporary: true},
		"no route":        &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)},
		"no network":      &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)},
		"refused":         &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"no local ports":  &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)},
		"too many files":  &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)},
		"firewall":        &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EPERM)},
		"something other": errors.New("who knows"),
	} {
		t.Run(name, func(t *testing.T) {
			bad, good := newHouse(t, 2, nil), newHouse(t, 2, nil)
			bad.options.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, cause }
			var reports []fetch.Report
			s := &fetch.Scheduler{Accounts: []*fetch.Account{bad.account, good.account}, Parallel: 1, PerHost: 1,
				Done: func(r fetch.Report) { reports = append(reports, r) }}
			err := s.Once(t.Context())
			class(t, err, fetch.Temporary)
			if !errors.Is(err, cause) || !strings.Contains(err.Error(), bad.server.Addr()) || len(reports) != 2 {
				t.Errorf("%d reports, %v", len(reports), err)
			}
			good.delivered(1, 2)
			bad.options.Dial = nil
			bad.converge(1, 2)
		})
	}
}

// U10: a million unique-ids (a tenth of them outside the long tests), all of them
// seen, are planned in seconds and in bounded memory.
func TestRowU10MillionUniqueIDs(t *testing.T) {
	ids := 100_000
	if os.Getenv("POPFETCH_TORTURE") == "1" {
		ids = 1_000_000
	}
	store, err := state.File{Path: filepath.Join(scratch(t), "state.db")}.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	drop := store.Maildrop("me@pop.example.org")
	listing := new(fetch.Listing)
	for i := 0; i < ids; i += 10_000 {
		var entries []state.Entry
		for n := i; n < i+10_000; n++ {
			m := fetch.Listed{Num: n + 1, ID: fmt.Sprintf("%016x%08x", n, n), Octets: 1000}
			listing.Add(m)
			entries = append(entries, state.Entry{ID: m.ID, Record: state.Record{Delivered: noon, Octets: 1000}})
		}
		if err := drop.Commit(state.Change{Put: entries}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	var plan fetch.Plan
	if err := drop.Scan(func(known seq) error {
		plan = fetch.NewPlan(listing, known, fetch.Policy{}, noon.Add(time.Hour))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if plan.Seen != ids || plan.Retrieve.Len() != 0 {
		t.Errorf("seen %d, to retrieve %d", plan.Seen, plan.Retrieve.Len())
	}
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%v, %d MiB", took, grown>>20)
	if took > 5*time.Second || grown > 16<<20 {
		t.Errorf("it took %v and %d MiB", took, grown>>20)
	}
}
