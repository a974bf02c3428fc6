package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

func TestClassify(t *testing.T) {
	refused := func(c pop3.Code) error { return &pop3.ResponseError{Command: "PASS", Code: c, Text: "no"} }
	stopped := &deliver.Error{Op: "write", Path: "mail", Temporary: true, Err: fmt.Errorf("x: %w", context.Canceled)}
	tests := []struct {
		name string
		err  error
		want fetch.Class
	}{
		{"nil", nil, fetch.OK},
		{"unknown", errors.New("?"), fetch.Temporary},
		{"canceled", context.Canceled, fetch.Canceled},
		{"deadline", context.DeadlineExceeded, fetch.Temporary},
		{"lost connection", io.ErrUnexpectedEOF, fetch.Temporary},
		{"-ERR", refused(""), fetch.Temporary},
		{"-ERR [IN-USE]", refused(pop3.InUse), fetch.Temporary},
		{"-ERR [SYS/TEMP]", refused(pop3.SysTemp), fetch.Temporary},
		{"-ERR [SYS/PERM]", refused(pop3.SysPerm), fetch.Protocol},
		{"login refused", &pop3.AuthError{Err: refused("")}, fetch.Auth},
		{"login refused [AUTH]", &pop3.AuthError{Err: refused(pop3.AuthCode)}, fetch.Auth},
		{"login refused [IN-USE]", &pop3.AuthError{Err: refused(pop3.InUse)}, fetch.Temporary},
		{"login refused [LOGIN-DELAY]", &pop3.AuthError{Err: refused(pop3.LoginDelay)}, fetch.Temporary},
		{"login refused [SYS/TEMP]", &pop3.AuthError{Err: refused(pop3.SysTemp)}, fetch.Temporary},
		{"login refused [SYS/PERM]", &pop3.AuthError{Err: refused(pop3.SysPerm)}, fetch.Auth},
		{"no method", &pop3.AuthError{Err: errors.New("none is offered")}, fetch.Auth},
		{"protocol", &pop3.ProtocolError{}, fetch.Protocol},
		{"line", &pop3.LineError{}, fetch.Protocol},
		{"TLS", &pop3.TLSError{Err: io.EOF}, fetch.Protocol},
		{"place", refusal(deliver.Place, false), fetch.Delivery},
		{"place, for now", refusal(deliver.Place, true), fetch.Delivery},
		{"message", refusal(deliver.Message, false), fetch.Delivery},
		{"message, for now", refusal(deliver.Message, true), fetch.Temporary},
		{"destination was stopped", stopped, fetch.Canceled},
		{"state", &fetch.StateError{Err: io.EOF}, fetch.State},
		{"state is locked", &fetch.StateError{Err: fmt.Errorf("x: %w", state.ErrLocked)}, fetch.Temporary},
		{"locked", state.ErrLocked, fetch.Temporary},
		{"message error", &fetch.MessageError{Err: refusal(deliver.Message, false)}, fetch.Delivery},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			class(t, tt.err, tt.want)
			if tt.err == nil {
				return
			}
			class(t, fmt.Errorf("wrapped: %w", tt.err), tt.want)
			class(t, errors.Join(context.Canceled, tt.err), tt.want)
			class(t, fmt.Errorf("%w (%w)", tt.err, tt.err), tt.want)
			class(t, &fetch.AccountError{Account: "a", Errs: []error{tt.err}}, tt.want)
			class(t, errors.Join(tt.err, &fetch.StateError{Err: io.EOF}), fetch.State)
			if tt.err.Error() == "" {
				t.Error("no text")
			}
		})
	}
}

// The gravest class decides. This is the order.
func TestClassesAscend(t *testing.T) {
	order := []fetch.Class{fetch.OK, fetch.Canceled, fetch.Temporary, fetch.Protocol, fetch.Auth, fetch.Delivery, fetch.State}
	for i := 1; i < len(order); i++ {
		if order[i-1] >= order[i] {
			t.Errorf("class %d is not graver than %d", order[i], order[i-1])
		}
	}
}

func TestRefusalAboutTheMomentIsNoWrongPassword(t *testing.T) {
	for text, want := range map[string]fetch.Class{
		"unable to lock maildrop":                         fetch.Temporary,
		"maildrop already locked":                         fetch.Temporary,
		"Login frequency limited":                         fetch.Temporary,
		"duplicate login!":                                fetch.Temporary,
		"Too many connections":                            fetch.Temporary,
		"please TRY again in 15 minutes":                  fetch.Temporary,
		"cannot access mailbox":                           fetch.Temporary,
		"Maildrop lock busy!  Is another session active?": fetch.Temporary,
		"Exceeded the login limit for a 15 minute period. Reduce the frequency of requests":    fetch.Temporary,
		"Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)": fetch.Temporary,
		"Logon failure: unknown user name or bad password.":                                    fetch.Auth,
		"authentication failed":          fetch.Auth,
		"Your account is locked":         fetch.Auth,
		"Your mailbox is already locked": fetch.Temporary,
		"locked out":                     fetch.Auth,
		"Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system is busy": fetch.Auth,
		"too many invalid logon attempts, server busy": fetch.Auth,
	} {
		class(t, &pop3.AuthError{Err: &pop3.ResponseError{Text: text}}, want)
		// With a code the text does not count, nor does it outside the login.
		class(t, &pop3.AuthError{Err: &pop3.ResponseError{Code: pop3.AuthCode, Text: "[AUTH] " + text}}, fetch.Auth)
		class(t, &pop3.ResponseError{Text: text}, fetch.Temporary)
	}
}
