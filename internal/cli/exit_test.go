package cli

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/internal/config"
	"popfetch/internal/secret"
	"popfetch/state"
)

func account(errs ...error) error { return &fetch.AccountError{Account: "work", Errs: errs} }

func TestExitCodes(t *testing.T) {
	denied := &pop3.AuthError{Err: &pop3.ResponseError{Command: "PASS", Text: "no"}}
	inUse := &pop3.AuthError{Err: &pop3.ResponseError{Command: "PASS", Code: pop3.InUse}}
	place := &deliver.Error{Op: "create", Path: "/mail", Err: syscall.ENOSPC}
	untrusted := &pop3.TLSError{Err: x509.UnknownAuthorityError{}}
	broken := &fetch.StateError{Err: state.ErrDamaged}
	noSecret := &secret.Error{Msg: "no such file"}
	later := &secret.Error{Msg: "timeout", Retry: true}
	for _, x := range []struct {
		name string
		err  error
		want int
	}{
		{"all well", nil, 0},
		{"usage", &usage{"what?"}, 64},
		{"config", &fetch.ConfigError{Err: config.Errors{{Msg: "unknown key"}}}, 78},
		{"password", account(secretError(noSecret)), 78},
		{"password, later", account(secretError(later)), 75},
		{"file of TLS", account(&fetch.ConfigError{Err: &settingError{"tls_ca_file", os.ErrNotExist}}), 78},
		{"refused login", account(denied), 77},
		{"maildrop in use", account(inUse), 75},
		{"TLS", account(untrusted), 76},
		{"protocol", account(&pop3.ProtocolError{}), 76},
		{"delivery", account(place), 73},
		{"message", account(&fetch.MessageError{Err: place}), 73},
		{"state", broken, 74},
		{"record of an account", account(&fetch.LostError{Err: &lostError{}}), 74},
		{"state in use", &fetch.StateError{Err: fmt.Errorf("lock x: %w", state.ErrLocked)}, 75},
		{"network", account(io.ErrUnexpectedEOF), 75},
		{"unknown", errors.New("strange"), 75},
		{"worst of all", errors.Join(account(denied), account(place), account(broken), account(untrusted)), 74},
		{"worst but state", errors.Join(account(denied), account(place), account(untrusted)), 73},
		{"worst but delivery", errors.Join(account(inUse), account(untrusted), account(denied)), 77},
		{"worst but login", errors.Join(account(inUse), account(untrusted)), 76},
		{"trouble and password", errors.Join(account(inUse), account(secretError(noSecret))), 78},
		{"worse than a password", errors.Join(account(secretError(noSecret)), account(untrusted)), 76},
		{"within one account", account(io.ErrUnexpectedEOF, &fetch.MessageError{Err: place}), 73},
	} {
		if got := exitCode(context.Background(), x.err); got != x.want {
			t.Errorf("%s: exit code %d, want %d", x.name, got, x.want)
		}
		if got := exitCode(context.Background(), reported(x.err)); got != x.want {
			t.Errorf("%s, reported: exit code %d, want %d", x.name, got, x.want)
		}
	}
}

func TestExitCodeOfSignals(t *testing.T) {
	for signal, want := range map[syscall.Signal]int{syscall.SIGHUP: 129, syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(&stopped{signal})
		if got := exitCode(ctx, account(context.Cause(ctx))); got != want {
			t.Errorf("%v: exit code %d, want %d", signal, got, want)
		}
		if got := exitCode(ctx, nil); got != 0 {
			t.Errorf("%v, all done: exit code %d", signal, got)
		}
		// What is wrong apart from the signal decides the code.
		place := &deliver.Error{Err: syscall.ENOSPC}
		if got := exitCode(ctx, errors.Join(account(context.Cause(ctx)), account(place))); got != 73 {
			t.Errorf("%v and a full disk: exit code %d, want 73", signal, got)
		}
	}
}

func TestComplain(t *testing.T) {
	text := func(err error) string {
		var b bytes.Buffer
		p := &program{err: &b}
		p.exit(context.Background(), err)
		return b.String()
	}
	if got := text(reported(errors.New("told before"))) + text(nil); got != "" {
		t.Errorf("%q", got)
	}
	const two = "popfetch: config.toml:2: unknown key\npopfetch: config.toml:3: wrong type\n"
	if got := text(config.Errors{{File: "config.toml", Line: 2, Msg: "unknown key"}, {File: "config.toml", Line: 3, Msg: "wrong type"}}); got != two {
		t.Errorf("%q", got)
	}
	hinted := &deliver.Error{Op: "create", Path: "/mail", Hint: "make room", Err: syscall.ENOSPC}
	const want = "popfetch: work: create /mail: no space left on device\npopfetch: work: hint: make room\npopfetch: work: other\n"
	if got := text(account(hinted, errors.New("other"))); got != want {
		t.Errorf("%q", got)
	}
	var many []error
	for i := range 14 {
		many = append(many, &fetch.MessageError{Num: i, Err: io.ErrUnexpectedEOF})
	}
	lines := strings.Split(text(account(many...)), "\n")
	if len(lines) != maxReasons+2 || lines[maxReasons] != "popfetch: work: and 4 more" {
		t.Errorf("%q", lines)
	}
}
