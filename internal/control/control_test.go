package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// ownerFunc is an Owner for a test.
type ownerFunc func(ctx context.Context, r Request, answer func(Answer)) error

func (f ownerFunc) Do(ctx context.Context, r Request, answer func(Answer)) error {
	return f(ctx, r, answer)
}

// echo answers for each account with its name.
var echo = ownerFunc(func(_ context.Context, r Request, answer func(Answer)) error {
	for _, a := range r.Accounts {
		answer(Answer{Account: a.Name})
	}
	return nil
})

// serve starts a server for a state file in a new directory, and returns the path of
// that. change adapts the limits.
func serve(t *testing.T, owner Owner, change func(*times)) (state string) {
	t.Helper()
	state = filepath.Join(t.TempDir(), "state.db")
	serveAt(t, state, owner, change)
	return state
}

func serveAt(t *testing.T, state string, owner Owner, change func(*times)) *Server {
	t.Helper()
	l, err := Listen(state)
	if err != nil {
		t.Fatal(err)
	}
	limits := times{request: time.Minute, heartbeat: time.Second}
	if change != nil {
		change(&limits)
	}
	s := start(l, Info{Version: "test", PID: os.Getpid(), Command: "daemon"}, owner, limits)
	t.Cleanup(func() { s.Close() })
	return s
}

// ask dials and sends a request about accounts, and returns the names in the answers.
func ask(t *testing.T, state string, accounts ...string) (names []string, err error) {
	t.Helper()
	c, err := dial(t.Context(), state, time.Minute)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	r := Request{Do: "poll"}
	for _, name := range accounts {
		r.Accounts = append(r.Accounts, Account{Name: name})
	}
	err = c.Do(t.Context(), r, func(a Answer) { names = append(names, a.Account) })
	return names, err
}

// serves fails the test unless the owner answers.
func serves(t *testing.T, state string) {
	t.Helper()
	names, err := ask(t, state, "work", "home")
	if err != nil || strings.Join(names, " ") != "work home" {
		t.Fatalf("the owner answers %q, %v", names, err)
	}
}

func TestClientsLearnWhoOwnsTheStateFile(t *testing.T) {
	state := serve(t, echo, nil)
	c, err := Dial(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Owner.PID != os.Getpid() || c.Owner.Command != "daemon" || c.Owner.Version != "test" {
		t.Errorf("the owner is %+v", c.Owner)
	}
	serves(t, state)
	info, err := os.Stat(state + ".sock")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v", info.Mode(), err)
	}
}

// A client of another user cannot open the socket, and would not be served if it could.
func TestClientThatSendsGarbageDisturbsNobody(t *testing.T) {
	state := serve(t, echo, func(l *times) { l.request = time.Second })
	head := "POST /do HTTP/1.1\r\nHost: popfetch\r\nPopfetch-Protocol: 1\r\n"
	for _, text := range []string{
		"\x00\xff\x16\x03garbage\r\n\r\n", "RETR 1\r\n", "GET /owner HTTP/1.1\r\n", strings.Repeat("x", 1<<20),
		head + "Content-Length: 5\r\n\r\n{{{{{", head + "Content-Length: 1000\r\n\r\n{", head + "X: " + strings.Repeat("y", 1<<20) + "\r\n\r\n",
		head + "Content-Length: 100000000\r\n\r\n" + `{"do":"` + strings.Repeat("z", 8<<20),
	} {
		c, err := connect(t.Context(), state, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, text)
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.40q keeps its connection", text)
		}
		c.Close()
		serves(t, state)
	}
}

// The owner stops working for a client that does not read, and for one that is gone.
func TestClientThatNeverReadsIsDropped(t *testing.T) {
	dropped := make(chan struct{})
	state := serve(t, ownerFunc(func(ctx context.Context, r Request, answer func(Answer)) error {
		if r.Do != "endless" {
			return echo(ctx, r, answer)
		}
		defer close(dropped)
		for ctx.Err() == nil {
			answer(Answer{Account: strings.Repeat("x", 1<<16)})
		}
		return ctx.Err()
	}), func(l *times) { l.request = time.Second })
	c, err := connect(t.Context(), state, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := `{"do":"endless"}`
	fmt.Fprintf(c, "POST /do HTTP/1.1\r\nHost: popfetch\r\nPopfetch-Protocol: 1\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	<-dropped
	serves(t, state)
}

func TestOwnerThatHangsIsNotWaitedFor(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	l, err := Listen(state) // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := dial(t.Context(), state, 50*time.Millisecond); !errors.Is(err, ErrSilent) {
		t.Errorf("Dial returns %v", err)
	}
}

// A long poll is no silence.
func TestOwnerThatWorksForLongIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		s := Start(l, Info{Command: "daemon"}, ownerFunc(func(ctx context.Context, r Request, answer func(Answer)) error {
			time.Sleep(time.Hour)
			return echo(ctx, r, answer)
		}))
		defer s.Close()
		c, err := dialThrough(t.Context(), func(context.Context) (net.Conn, error) { return &impatient{l.connect(), Patience}, nil })
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		answers := 0
		if err := c.Do(t.Context(), Request{Do: "poll", Accounts: []Account{{Name: "work"}}}, func(Answer) { answers++ }); err != nil || answers != 1 {
			t.Errorf("%d answers, %v", answers, err)
		}
	})
}

// pipes is a net.Listener in memory, for the clock of a test.
type pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
	close   func()
}

func newPipes() *pipes {
	closed := make(chan struct{})
	return &pipes{make(chan net.Conn), closed, sync.OnceFunc(func() { close(closed) })}
}

// connect returns the end of a client.
func (l *pipes) connect() net.Conn {
	ours, theirs := net.Pipe()
	l.waiting <- theirs
	return ours
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.waiting:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.close()
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func TestOwnerThatEndsTellsItsClients(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	begun := make(chan struct{})
	s := serveAt(t, state, ownerFunc(func(ctx context.Context, _ Request, _ func(Answer)) error {
		close(begun)
		<-ctx.Done()
		return &Refusal{Reason{Text: "stopping"}}
	}), nil)
	go func() {
		<-begun
		s.Close()
	}()
	_, err := ask(t, state, "work")
	var refused *Refusal
	if !errors.As(err, &refused) && !errors.Is(err, ErrNobody) {
		t.Errorf("the client gets %v", err)
	}
}

func TestPanicOfOneRequestEndsNoOther(t *testing.T) {
	state := serve(t, ownerFunc(func(ctx context.Context, r Request, answer func(Answer)) error {
		if len(r.Accounts) == 0 {
			panic("no account")
		}
		return echo(ctx, r, answer)
	}), nil)
	_, err := ask(t, state)
	var refused *Refusal
	if !errors.As(err, &refused) || !strings.Contains(refused.Text, `defect in "poll", please report it: no account`) {
		t.Errorf("the client gets %v", err)
	}
	serves(t, state)
}

func TestRefusalKeepsItsWords(t *testing.T) {
	want := Reason{Class: "configuration", Text: "not so", Hint: "do it otherwise"}
	state := serve(t, ownerFunc(func(context.Context, Request, func(Answer)) error { return &Refusal{want} }), nil)
	_, err := ask(t, state, "work")
	var refused *Refusal
	if !errors.As(err, &refused) || refused.Reason != want {
		t.Errorf("the client gets %v", err)
	}
}

// What the owner does not know may be something that must not be ignored.
func TestOlderOwnerRefusesWhatItDoesNotKnow(t *testing.T) {
	state := serve(t, echo, nil)
	for body, protocol := range map[string]string{
		`{"do":"poll","shred":true}`: "1",
		`{"do":"poll"}`:              "2",
	} {
		c, err := dial(t.Context(), state, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://popfetch/do", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(protocolHeader, protocol)
		response, err := c.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var why Reason
		err = json.NewDecoder(response.Body).Decode(&why)
		if response.StatusCode == http.StatusOK || err != nil || why.Text == "" || response.Header.Get(protocolHeader) != "1" {
			t.Errorf("%s of protocol %s is answered with %s %q, %v", body, protocol, response.Status, why.Text, err)
		}
		response.Body.Close()
		c.Close()
	}
}

func TestClientSaysThatTheOwnerIsOfAnotherVersion(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	l, err := Listen(state)
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/owner":
			io.WriteString(w, `{"version":"9.9","pid":7,"moon":"full"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"text":"it does not know that"}`)
		}
	})}
	go other.Serve(l)
	defer other.Close()
	_, err = ask(t, state, "work")
	var version *VersionError
	if !errors.As(err, &version) || version.Owner.Version != "9.9" || version.Owner.PID != 7 || version.Said != "it does not know that" {
		t.Errorf("the client gets %v", err)
	}
}

func TestOwnerOfAnotherProtocolIsNotCalledProcessZero(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	l, err := Listen(state)
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusUpgradeRequired, "it speaks protocol 2")
	})}
	go other.Serve(l)
	defer other.Close()
	_, err = ask(t, state, "work")
	const want = "the running popfetch is of another version and does not understand this one: it speaks protocol 2"
	if err == nil || err.Error() != want {
		t.Errorf("the client gets %v, want %s", err, want)
	}
}

func TestCancelledClientEndsItsRequest(t *testing.T) {
	begun, gone := make(chan struct{}), make(chan struct{})
	state := serve(t, ownerFunc(func(ctx context.Context, _ Request, _ func(Answer)) error {
		close(begun)
		<-ctx.Done()
		close(gone)
		return ctx.Err()
	}), nil)
	c, err := Dial(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	why := errors.New("stopped by the user")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-begun
		cancel(why)
	}()
	if err := c.Do(ctx, Request{Do: "poll"}, func(Answer) {}); err != why {
		t.Errorf("Do returns %v", err)
	}
	<-gone
}

// The owner of an older version would refuse a request with what it does not know.
func TestOwnerThatCannotBeWatchedIsNotAskedToBe(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.db")
	l, err := Listen(state)
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	older := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/owner" {
			io.WriteString(w, `{"version":"0.1","pid":7,"command":"daemon"}`)
			return
		}
		got, _ = io.ReadAll(r.Body)
		io.WriteString(w, `{"end":{}}`)
	})}
	go older.Serve(l)
	defer older.Close()
	c, err := Dial(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Do(t.Context(), Request{Do: "poll", Watch: &Watch{Progress: true}}, func(Answer) {}); err != nil || string(got) != `{"do":"poll"}` {
		t.Errorf("it is asked %s, %v", got, err)
	}
}

func TestWhatGoesOnArrivesAsItWasSent(t *testing.T) {
	sent := Watched{
		Progress: []Progress{{Account: "work", Stage: "receiving", Messages: 1, Octets: 1 << 53, AllMessages: 2, AllOctets: 1<<53 + 1}},
		Log:      []LogLine{{Account: "work", Time: time.Now().UTC(), Level: -4, Text: "planned", Attrs: []Attr{{"plan", "1 to fetch"}, {"num", int64(1<<53 + 1)}, {"last", true}}}},
		Lost:     3,
	}
	asked := Watch{Progress: true, Level: -4}
	state := serve(t, ownerFunc(func(_ context.Context, r Request, answer func(Answer)) error {
		if r.Watch == nil || *r.Watch != asked {
			return fmt.Errorf("the owner gets %+v", r.Watch)
		}
		answer(Answer{Watched: &sent})
		return nil
	}), nil)
	c, err := Dial(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := sent
	want.Log = []LogLine{sent.Log[0]}
	want.Log[0].Attrs = []Attr{{"plan", "1 to fetch"}, {"num", json.Number("9007199254740993")}, {"last", true}}
	if err := c.Do(t.Context(), Request{Do: "poll", Watch: &asked}, func(a Answer) {
		if a.Watched == nil || !reflect.DeepEqual(*a.Watched, want) {
			t.Errorf("the client gets %+v, want %+v", a.Watched, want)
		}
	}); err != nil {
		t.Error(err)
	}
}
