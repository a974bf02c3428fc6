package mda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/deliver/delivertest"
	"popfetch/internal/spool"
)

// helperName is the first argument that makes the test binary a program that takes mail.
const helperName = "store-message"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == helperName {
		if err := store(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(75)
		}
		os.Exit(0)
	}
	if len(os.Args) == 4 && os.Args[1] == deliverName {
		deliverAtGate(os.Args[2], os.Args[3])
	}
	os.Exit(m.Run())
}

// Beside its directory store finds when it has to fail, and notes there that it did.
const (
	faultSuffix  = ".fault"
	failedSuffix = ".failed"
)

// store puts standard input into a new file of dir.
func store(dir string) error {
	when, _ := os.ReadFile(dir + faultSuffix) // none = no fault
	fail := func() error {
		if err := os.Rename(dir+faultSuffix, dir+failedSuffix); err != nil {
			return err
		}
		return errors.New("told to fail")
	}
	if string(when) == "before" {
		return fail()
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "message-")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if string(when) == "after" {
		return fail()
	}
	return nil
}

func TestConformance(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	delivertest.Run(t, func(t *testing.T) delivertest.Fixture {
		dir, spoolDir := t.TempDir(), t.TempDir()
		return delivertest.Fixture{
			Stored: delivertest.LF,
			Open: func() deliver.Destination {
				// Under the race detector a program sleeps for a second before it exits.
				argv := []string{"env", "GORACE=atexit_sleep_ms=0", self, helperName, dir}
				return &MDA{Argv: argv, Spool: spoolDir, Env: os.Environ()}
			},
			Delivered: func() []string {
				var texts []string
				for _, name := range names(t, dir) {
					b, err := os.ReadFile(filepath.Join(dir, name))
					if err != nil {
						t.Fatal(err)
					}
					texts = append(texts, string(b))
				}
				return texts
			},
			Leftovers: func() []string { return names(t, spoolDir) },
			Recover: func(ctx context.Context, in deliver.Intent) (deliver.Outcome, error) {
				return Recover(ctx, in, time.Now())
			},
			Faults: programFaults{t, dir},
		}
	})
}

// programFaults implements delivertest.Faults for the program that store is: its calls are
// the runs of it, each with a failure before it takes the message and one after it.
type programFaults struct {
	t   *testing.T
	dir string
}

func (p programFaults) Arm(n int, _ bool) {
	when := []string{"before", "after"}
	if n >= len(when) {
		return
	}
	if err := os.WriteFile(p.dir+faultSuffix, []byte(when[n]), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p programFaults) Failed() string {
	when, err := os.ReadFile(p.dir + failedSuffix)
	if err != nil {
		return ""
	}
	return string(when)
}

func (p programFaults) Disarm() {
	os.Remove(p.dir + faultSuffix)
	os.Remove(p.dir + failedSuffix)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// shell returns an MDA that runs a script, with the directory $1 to write to.
func shell(t *testing.T, script string) (m *MDA, dir string) {
	dir = t.TempDir()
	return &MDA{
		Argv: []string{"/bin/sh", "-c", script, "sh", dir}, Spool: t.TempDir(),
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "SECRET=x", "LC_ALL=C", "XDG_STATE_HOME=/s"}, grace: 50 * time.Millisecond,
	}, dir
}

// send delivers text.
func send(ctx context.Context, m *MDA, meta deliver.Meta, text string) error {
	s, err := m.Stage(ctx, meta, strings.NewReader(text))
	if err != nil {
		return err
	}
	defer s.Abort()
	group := []deliver.Staged{s}
	if err := errors.Join(m.Prepare(ctx, group)...); err != nil {
		return err
	}
	if errs := m.Publish(ctx, group); errs != nil {
		return errs[0]
	}
	return nil
}

func TestExitCodes(t *testing.T) {
	type want struct {
		scope     deliver.Scope
		temporary bool
		text      string
	}
	for script, want := range map[string]want{
		"exit 1":     {deliver.Message, true, "exit code 1"},
		"exit 64":    {deliver.Place, false, "exit code 64 (EX_USAGE)"},
		"exit 65":    {deliver.Message, false, "exit code 65 (EX_DATAERR)"},
		"exit 66":    {deliver.Message, false, "EX_NOINPUT"},
		"exit 67":    {deliver.Message, false, "EX_NOUSER"},
		"exit 68":    {deliver.Message, false, "EX_NOHOST"},
		"exit 69":    {deliver.Message, true, "EX_UNAVAILABLE"},
		"exit 70":    {deliver.Message, true, "EX_SOFTWARE"},
		"exit 71":    {deliver.Message, true, "EX_OSERR"},
		"exit 72":    {deliver.Place, false, "EX_OSFILE"},
		"exit 73":    {deliver.Message, true, "EX_CANTCREAT"},
		"exit 74":    {deliver.Message, true, "EX_IOERR"},
		"exit 75":    {deliver.Message, true, "EX_TEMPFAIL"},
		"exit 76":    {deliver.Message, false, "EX_PROTOCOL"},
		"exit 77":    {deliver.Message, false, "EX_NOPERM"},
		"exit 78":    {deliver.Place, false, "EX_CONFIG"},
		"exit 126":   {deliver.Place, false, "exit code 126 (not executable)"},
		"exit 127":   {deliver.Place, false, "exit code 127 (not found)"},
		"exit 200":   {deliver.Message, true, "exit code 200"},
		"kill -9 $$": {deliver.Message, true, "killed by signal 9 (killed)"},
		`printf '\n no such\033[2J user\nmore' >&2; exit 67`: {deliver.Message, false, `(EX_NOUSER): "no such\x1b[2J user"`},
	} {
		m, _ := shell(t, "cat >/dev/null; "+script)
		err := send(t.Context(), m, deliver.Meta{}, "text")
		var e *deliver.Error
		if !errors.As(err, &e) || e.Scope != want.scope || e.Temporary != want.temporary || !strings.Contains(err.Error(), want.text) || e.Path != "/bin/sh" {
			t.Errorf("%s: %+v (%v), want %+v", script, e, err, want)
		}
	}
}

func TestProgramThatCannotBeRun(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	os.WriteFile(plain, []byte("x"), 0o600)
	odd := filepath.Join(dir, "odd")
	os.WriteFile(odd, []byte("x"), 0o700)
	for _, argv := range [][]string{{"/nonexistent/mda"}, {"no-such-program-here"}, {plain}, {odd}, {dir}} {
		err := send(t.Context(), &MDA{Argv: argv}, deliver.Meta{}, "text")
		var e *deliver.Error
		if !errors.As(err, &e) || e.Scope != deliver.Place || e.Temporary || e.Hint == "" {
			t.Errorf("%q: %#v, want an *Error of scope Place with a hint", argv, err)
		}
	}
}

func TestInputMustBeReadToTheEnd(t *testing.T) {
	for _, test := range []struct {
		script string
		octets int
		want   string // of the error, "" = delivered
	}{
		{"cat >/dev/null", 3 << 20, ""},
		{"cat >/dev/null", 0, ""},
		{"true", 0, ""},
		{"true", 10, "exited 0 after reading only 0 of 10 octets"},
		{"true", 200_000, "exited 0 after reading only 0 of 200000 octets"},
		{"exec <&-; true", 3 << 20, "exited 0 after reading only 0 of 3145728 octets"},
		{"dd bs=1000 count=5 of=/dev/null 2>/dev/null", 6000, "exited 0 after reading only 5000 of 6000 octets"},
		{"dd bs=1000 count=5 iflag=fullblock of=/dev/null 2>/dev/null", 3 << 20, "exited 0 after reading only 5000 of 3145728 octets"},
		{"dd bs=1000 count=6 of=/dev/null 2>/dev/null", 6000, ""},
	} {
		m, _ := shell(t, test.script)
		err := send(t.Context(), m, deliver.Meta{}, strings.Repeat("x", test.octets))
		var e *deliver.Error
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s, %d octets: %v", test.script, test.octets, err)
		case test.want != "" && (!errors.As(err, &e) || e.Scope != deliver.Message || !e.Temporary || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s, %d octets: %v, want %q", test.script, test.octets, err, test.want)
		}
	}
}

func TestTimeout(t *testing.T) {
	m, _ := shell(t, "sleep 60") // and it reads nothing
	m.Timeout = 100 * time.Millisecond
	err := send(t.Context(), m, deliver.Meta{}, strings.Repeat("x", 3<<20))
	var e *deliver.Error
	if !errors.As(err, &e) || e.Scope != deliver.Message || !e.Temporary || !strings.Contains(err.Error(), "killed after 100ms") {
		t.Errorf("error %v", err)
	}
}

// A program that is killed after it has read the message may have delivered it.
func TestKilledProgramMayHaveDelivered(t *testing.T) {
	for script, unclear := range map[string]bool{
		"cat >/dev/null; kill -9 $$": true,
		"kill -9 $$":                 false,
		"cat >/dev/null; exit 75":    false,
	} {
		m, _ := shell(t, script)
		err := send(t.Context(), m, deliver.Meta{}, strings.Repeat("x", 3<<20))
		var e *deliver.Error
		if !errors.As(err, &e) || !e.Temporary || e.Unclear != unclear {
			t.Errorf("%s: %#v", script, err)
		}
	}
}

// Each process of the program holds a pipe open, which comes to its end with the last of them.
func TestInterruptedProgramEndsWithAllItsProcesses(t *testing.T) {
	for _, script := range []string{
		`echo up >&9; cat >/dev/null; sleep 60`,
		`echo up >&9; sleep 60`,                                                  // reads nothing
		`trap "" TERM; echo up >&9; sleep 60; sleep 60`,                          // ignores SIGTERM
		`sh -c 'trap "" TERM; echo up >&9; sleep 60; sleep 60' & wait`,           // a child that ignores SIGTERM
		`cat >/dev/null; (trap "" TERM; sleep 60) & echo up >&9; wait; sleep 60`, // a child that holds the output
	} {
		m, dir := shell(t, `exec 9>$1/hold; `+script)
		m.Timeout = time.Minute
		fifo := filepath.Join(dir, "hold")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("told to stop")
		ended := make(chan error, 1)
		go func() {
			r, err := os.Open(fifo) // waits until the program has opened it
			if err == nil {
				defer r.Close()
				_, err = io.ReadFull(r, make([]byte, len("up\n")))
				cancel(reason)
				r.SetReadDeadline(time.Now().Add(30 * time.Second))
				if n, last := io.Copy(io.Discard, r); n > 0 || last != nil {
					err = fmt.Errorf("%d octets, %v", n, last)
				}
			}
			ended <- err
		}()
		err := send(ctx, m, deliver.Meta{}, strings.Repeat("x", 3<<20))
		var e *deliver.Error
		if !errors.Is(err, reason) || !errors.As(err, &e) || e.Scope != deliver.Place || !e.Temporary {
			t.Errorf("%s: error %v", script, err)
		}
		if err := <-ended; err != nil {
			t.Errorf("%s: a process still runs: %v", script, err)
		}
	}
}

func TestGrandchildThatHoldsTheOutput(t *testing.T) {
	m, _ := shell(t, `cat >/dev/null; sleep 20 & exit 0`)
	start := time.Now()
	if err := send(t.Context(), m, deliver.Meta{}, "text"); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("waited %v for it", took)
	}
}

func TestWhatTheProgramIsGiven(t *testing.T) {
	m, dir := shell(t, `cat >$1/message; env >$1/env; pwd >$1/pwd; umask >$1/umask; ls /proc/self/fd >$1/fds; shift; for a; do echo "[$a]"; done >$1/args`)
	m.Argv = append(m.Argv, dir, "{account}", "-f{sender}", "{recipient}", "{uid}", "{user}: {size}", "{Not one}", "$(touch x)")
	held, err := syscall.Open(dir, syscall.O_RDONLY, 0) // a descriptor that must not get there
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(held)
	meta := deliver.Meta{
		ID: "00ff", Account: "work", User: "me@example.org", Host: "pop.example.org", UID: "-a/ b%\xff`$(x)", Attempt: 2,
	}
	text := "Return-Path: <list-owner@example.com>\nDelivered-To: you@example.org\n\nbody"
	if err := send(t.Context(), m, meta, text); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	want := "[" + dir + "]\n[work]\n[-flist-owner@example.com]\n[you@example.org]\n[%2Da%2F%20b%25%FF`$(x)]\n[me@example.org: 73]\n[{Not one}]\n[$(touch x)]\n"
	if got := read("args"); got != want {
		t.Errorf("arguments\n%swant\n%s", got, want)
	}
	env := strings.Split(strings.TrimSpace(read("env")), "\n")
	for _, entry := range []string{
		"POPFETCH_ACCOUNT=work", "POPFETCH_USER=me@example.org", "POPFETCH_SENDER=list-owner@example.com",
		"POPFETCH_RECIPIENT=you@example.org", "POPFETCH_UID=%2Da%2F%20b%25%FF`$(x)", fmt.Sprintf("POPFETCH_SIZE=%d", len(text)),
		"POPFETCH_HOST=pop.example.org", "POPFETCH_ATTEMPT=2", "POPFETCH_ID=00ff", "LC_ALL=C", "XDG_STATE_HOME=/s", "HOME=" + dir,
	} {
		if !slices.Contains(env, entry) {
			t.Errorf("environment lacks %s", entry)
		}
	}
	if strings.Contains(read("env"), "SECRET") {
		t.Error("the environment of popfetch is passed on whole")
	}
	if got := strings.TrimSpace(read("umask")); got != "0077" {
		t.Errorf("umask %s", got)
	}
	if got := strings.TrimSpace(read("pwd")); got != dir {
		t.Errorf("runs in %s", got)
	}
	if got := strings.Fields(read("fds")); !slices.Equal(got, []string{"0", "1", "2", "3"}) { // ls has 3 open for the directory
		t.Errorf("open descriptors %q", got)
	}
}

func TestRefusedValues(t *testing.T) {
	for _, test := range []struct {
		arg  string
		meta deliver.Meta
	}{
		{"{user}", deliver.Meta{User: "-rf"}},
		{"{account}{size}", deliver.Meta{Account: "--x"}},
		{"{user}", deliver.Meta{User: "a\nb"}},
		{"x", deliver.Meta{Host: "a\x00b"}},
	} {
		m, dir := shell(t, `cat >/dev/null; touch $1/ran`)
		m.Argv = append(m.Argv, test.arg)
		err := send(t.Context(), m, test.meta, "text")
		var e *deliver.Error
		if !errors.As(err, &e) || e.Scope != deliver.Message || e.Temporary {
			t.Errorf("%+v: %v, want a permanent *Error of scope Message", test, err)
		}
		if ran := names(t, dir); len(ran) > 0 {
			t.Errorf("%+v: the program was run", test)
		}
	}
}

func TestOutputIsBoundedAndEscaped(t *testing.T) {
	var log bytes.Buffer
	m, _ := shell(t, `cat >/dev/null; printf 'a\033]0;x\007\n'; head -c 1000000 /dev/zero; exit 75`)
	m.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	err := send(t.Context(), m, deliver.Meta{}, "text")
	if err == nil || !strings.HasSuffix(err.Error(), `exit code 75 (EX_TEMPFAIL): "a\x1b]0;x\a"`) {
		t.Errorf("%v", err)
	}
	if log.Len() > 6*maxOutput || bytes.ContainsAny(log.Bytes(), "\x1b\x07\x00") || bytes.Count(log.Bytes(), []byte("\n")) != 1 {
		t.Errorf("log of %d octets: %.300q", log.Len(), log.String())
	}
	long := &output{kept: bytes.Repeat([]byte("\xff"), maxOutput)}
	if said := long.said(); len(said) > 4*maxSaid+8 {
		t.Errorf("%d octets of output in an error", len(said))
	}
}

// A spool that has lost octets never looks like the end of a message.
func TestSpoolThatIsCutIsNotDelivered(t *testing.T) {
	m, _ := shell(t, "cat >/dev/null")
	s, err := m.Stage(t.Context(), deliver.Meta{}, strings.NewReader(strings.Repeat("x", spool.MaxMemory+1)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Abort()
	file, err := s.(*staged).spool.File()
	if err != nil {
		t.Fatal(err)
	}
	file.Truncate(1000)
	err = errors.Join(m.Publish(t.Context(), []deliver.Staged{s})...)
	var e *deliver.Error
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &e) || e.Scope != deliver.Place {
		t.Errorf("got %v", err)
	}
}

func TestRecoverFetchesAgain(t *testing.T) {
	m, _ := shell(t, "cat >/dev/null")
	s, err := m.Stage(t.Context(), deliver.Meta{ID: "00ff", Attempt: 3}, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Abort()
	in := s.Intent()
	if in.Kind != Kind || !strings.Contains(in.Note, `"id":"00ff","attempt":3`) {
		t.Errorf("intent %+v", in)
	}
	if got, err := Recover(t.Context(), in, time.Now()); got != deliver.Again || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}
