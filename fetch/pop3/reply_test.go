package pop3

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestStatusLines(t *testing.T) {
	for _, tt := range []struct {
		line string
		code Code
		want string // the error, "" = none
	}{
		{line: "+OK"},
		{line: "+OK fine"},
		{line: "+ok fine"},
		{line: "-ERR", want: `NOOP: server said "-ERR"`},
		{line: "-ERR no such message", want: `NOOP: server said "-ERR no such message"`},
		{line: "-err no", want: `NOOP: server said "-ERR no"`},
		{line: "-ERR [IN-USE] busy", code: InUse, want: "[IN-USE] busy"},
		{line: "-ERR [in-use] busy", code: InUse, want: "[in-use] busy"},
		{line: "-ERR [LOGIN-DELAY]", code: LoginDelay, want: "[LOGIN-DELAY]"},
		{line: "-ERR [SYS/TEMP] x", code: SysTemp, want: "x"},
		{line: "-ERR [SYS/PERM] x", code: SysPerm, want: "x"},
		{line: "-ERR [X-OTHER/DEEP/ER] x", code: "X-OTHER/DEEP/ER", want: "x"},
		{line: "-ERR [AUTH x", want: "[AUTH x"},
		{line: "-ERR [] x", want: "[] x"},
		{line: "-ERR [a b] x", want: "[a b] x"},
		{line: "-ERR x [AUTH]", want: "x [AUTH]"},
		{line: "-ERR \x1b[2J", want: `NOOP: server said "-ERR \x1b[2J"`},
	} {
		t.Run(tt.line, func(t *testing.T) {
			c := rawReply(t, tt.line+"\r\n", false)
			err := c.Noop()
			var refused *ResponseError
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), tt.want) || refused.Code != tt.code):
				t.Errorf("got %v, code %q", err, refused.Code)
			}
			if c.Broken() != nil {
				t.Error(c.Broken())
			}
		})
	}
}

func TestNotAStatusLine(t *testing.T) {
	for _, line := range []string{"", " +OK", "OK", "+", "+ ", "-", "ERR", "* OK", "\x00"} {
		c := rawReply(t, line+"\r\n", false)
		if err := c.Noop(); !isProtocolError(err) {
			t.Errorf("%q: %v", line, err)
		}
		if err := c.Quit(); !errors.Is(err, ErrBroken) || !isProtocolError(err) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestRefusedGreeting(t *testing.T) {
	for _, s := range []Security{ClearText, StartTLS} {
		_, err := peer{script: "S: -ERR [SYS/TEMP] too many connections"}.dial(t, &Options{Security: s})
		var refused *ResponseError
		if !errors.As(err, &refused) || refused.Command != "greeting" || refused.Code != SysTemp {
			t.Errorf("got %v", err)
		}
	}
}

func TestStat(t *testing.T) {
	for _, tt := range []struct {
		text   string
		n      int
		octets int64
		ok     bool
	}{
		{"2 320", 2, 320, true},
		{"0 0", 0, 0, true},
		{"2   320 and more", 2, 320, true},
		{"2 9223372036854775807", 2, 9223372036854775807, true},
		{"", 0, 0, false}, {"2", 0, 0, false}, {"x 1", 0, 0, false}, {"-1 1", 0, 0, false},
		{"1 -1", 0, 0, false}, {"2147483648 1", 0, 0, false}, {"1 9223372036854775808", 0, 0, false},
	} {
		c := rawReply(t, "+OK "+tt.text+"\r\n", false)
		n, octets, err := c.Stat()
		var odd *LineError
		if n != tt.n || octets != tt.octets || (err == nil) != tt.ok || !tt.ok && (!errors.As(err, &odd) || c.Broken() != nil) {
			t.Errorf("%q: %d, %d, %v", tt.text, n, octets, err)
		}
	}
}

func TestAnnouncedOctets(t *testing.T) {
	for text, want := range map[string]int64{
		"": -1, "120 octets": 120, "120": 120, "message follows": -1, "-5 octets": -1, "120octets": -1, "99999999999999999999": -1, "0": 0,
	} {
		if got := announced(text); got != want {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestCapabilities(t *testing.T) {
	c := rawReply(t, "+OK\r\ntop\r\nSASL plain\r\nSasl \t LOGIN  X\r\n\r\nEXPIRE 60\r\n..X\r\nIMPLEMENTATION a b\r\n.\r\n", false)
	caps, err := c.Capa()
	if err != nil {
		t.Fatal(err)
	}
	if !caps.Asked || !caps.Known || !caps.Has("TOP") || !caps.Has("sasl") || caps.Has("UIDL") {
		t.Errorf("%+v", caps)
	}
	if got := caps.Params("SASL"); !slices.Equal(got, []string{"plain", "LOGIN", "X"}) {
		t.Errorf("%q", got)
	}
	if got := caps.Names(); !slices.Equal(got, []string{"TOP", "SASL", "EXPIRE", ".X", "IMPLEMENTATION"}) {
		t.Errorf("%q", got)
	}
	caps.Params("SASL")[0] = "changed"
	if !c.Capabilities().sasl("PLAIN") {
		t.Error("the parameters can be changed from outside")
	}
	var zero Capabilities
	if zero.Has("TOP") || zero.Params("SASL") != nil || len(zero.Names()) != 0 {
		t.Error("the zero value has capabilities")
	}
}

func TestListingRefused(t *testing.T) {
	c := transaction(t, "C: UIDL\nS: -ERR what\nC: NOOP\nS: +OK")
	n := 0
	for _, err := range c.Uidl() {
		n++
		var refused *ResponseError
		if !errors.As(err, &refused) || refused.Command != "UIDL" {
			t.Errorf("got %v", err)
		}
	}
	if err := c.Noop(); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestQuit(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		want         func(error) bool
	}{
		{"confirmed", "C: DELE 1\nS: +OK\nC: QUIT\nS: +OK", func(err error) bool { return err == nil }},
		{"some not removed", "C: DELE 1\nS: +OK\nC: QUIT\nS: -ERR some deleted messages not removed", func(err error) bool { return errors.As(err, new(*ResponseError)) }},
		{"no reply", "C: DELE 1\nS: +OK\nC: QUIT\nCLOSE", func(err error) bool {
			// A pipe tells of its other end in one of two ways.
			return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := transaction(t, tt.script)
			for _, err := range c.Dele([]int{1}) {
				if err != nil {
					t.Error(err)
				}
			}
			if err := c.Quit(); !tt.want(err) {
				t.Errorf("got %v", err)
			}
			if c.State() != Update || !c.closed.Load() {
				t.Errorf("state %v, closed %v", c.State(), c.closed.Load())
			}
			if err := c.Quit(); err == nil {
				t.Error("QUIT twice")
			}
		})
	}
	t.Run("nothing to confirm", func(t *testing.T) {
		c := transaction(t, "C: QUIT")
		if err := c.Bye(); err != nil || c.State() != Update {
			t.Errorf("%v, %v", err, c.State())
		}
	})
	t.Run("before login", func(t *testing.T) {
		c := connect(t, "S: +OK\nC: QUIT\nS: +OK")
		if err := c.Quit(); err != nil || c.State() != Authorization {
			t.Errorf("%v, %v", err, c.State())
		}
		if err := c.Noop(); !errors.Is(err, ErrBroken) {
			t.Errorf("got %v", err)
		}
	})
}

// Every fatal error in a loop is yielded once, as its last value.
func TestFatalIsLast(t *testing.T) {
	for _, reply := range []string{"nonsense\r\n", "+OK\r\nhalf", ""} {
		t.Run(reply, func(t *testing.T) {
			c := rawReply(t, reply, true)
			var errs []error
			for m, err := range c.Retr([]int{1, 2, 3}, nil) {
				if m == nil {
					t.Fatal("no message")
				}
				if _, rerr := io.ReadAll(m.Body); err != nil {
					errs = append(errs, err)
					if rerr == nil {
						t.Error("a message that failed is empty")
					}
				}
			}
			if len(errs) != 1 || c.Broken() == nil {
				t.Errorf("got %v, %v", errs, c.Broken())
			}
		})
	}
}

func TestStateNames(t *testing.T) {
	for s, want := range map[State]string{Authorization: "AUTHORIZATION", Transaction: "TRANSACTION", Update: "UPDATE", 7: "State(7)"} {
		if s.String() != want {
			t.Errorf("%d: %s", uint8(s), s)
		}
	}
}
