package fetch_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"popfetch/fetch"
)

func TestServerThatIsNotThere(t *testing.T) {
	h := newFixture(t, 1, nil)
	h.server.Close()
	_, err := h.poll()
	class(t, err, fetch.Temporary)
	var account *fetch.AccountError
	if !errors.As(err, &account) || account.Account != "test" || !strings.HasPrefix(err.Error(), `account "test": `) {
		t.Errorf("%v", err)
	}
}

// A server that cannot be reached is a temporary error of its account, which
// names the server; the other account is polled.
func TestUnreachableServerFailsItsOwnAccountOnly(t *testing.T) {
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
			bad, good := newFixture(t, 2, nil), newFixture(t, 2, nil)
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
