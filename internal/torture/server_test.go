//go:build linux

package torture

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/dovecottest"
)

// password is that of all users of all servers here.
const password = dovecottest.Password

// server serves the maildrop of one trial.
type server interface {
	addr() string
	user() string
	// left returns how many copies of each message it holds.
	left() (map[int]int, error)
	// on makes it call fn after it has read the nth command verb and before it replies.
	// It returns false if the server cannot do that.
	on(verb string, n int, fn func()) bool
}

// inProcess is a pop3test server in the process of the test.
type inProcess struct {
	*pop3test.Server
	drop *pop3test.Maildrop
	trigger
}

// trigger calls a function when a server has read a command.
type trigger struct {
	mu   sync.Mutex
	verb string
	n    int
	fn   func()
}

// serve starts a server with messages 0 to n-1. The caller closes it.
func serve(n int) (*inProcess, error) {
	var numbers []int
	for i := range n {
		numbers = append(numbers, i)
	}
	return serveThese(numbers)
}

// serveThese starts a server with the messages of these numbers.
func serveThese(numbers []int) (*inProcess, error) {
	var messages []pop3test.Message
	for _, i := range numbers {
		messages = append(messages, pop3test.Message{UID: fmt.Sprintf("uid-%d", i), Raw: pop3test.Text(string(compose(i)))})
	}
	s := &inProcess{drop: pop3test.NewMaildrop(messages...)}
	s.Server = &pop3test.Server{
		Security: pop3test.ClearText,
		Users:    map[string]*pop3test.User{"alice": {Password: password, Maildrop: s.drop}},
		LockWait: 4 * time.Second,
		Log:      s.line,
	}
	return s, s.Start()
}

func (s *inProcess) addr() string { return s.Addr() }
func (s *inProcess) user() string { return "alice" }

func (s *inProcess) left() (map[int]int, error) {
	held := make(map[int]int)
	for _, m := range s.drop.Messages() {
		if i, ok := marked(m.Raw); ok {
			held[i]++
		}
	}
	return held, nil
}

func (t *trigger) on(verb string, n int, fn func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verb, t.n, t.fn = verb, n, fn
	return true
}

// heard is called by the server for each line, on the goroutine that replies.
func (t *trigger) heard(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fn == nil || !strings.HasPrefix(line, t.verb) {
		return
	}
	if t.n--; t.n == 0 {
		t.fn()
		t.fn = nil
	}
}

// line is the log of the server.
func (s *inProcess) line(format string, args ...any) {
	if _, line, ok := strings.Cut(fmt.Sprintf(format, args...), " C: "); ok {
		s.heard(line)
	}
}

// provider starts the server of a trial.
type provider func(trial string, n int) (s server, end func(), err error)

// inTest starts a server in the process of the test.
func inTest(_ string, n int) (server, func(), error) {
	s, err := serve(n)
	if err != nil {
		return nil, nil, err
	}
	return s, func() { s.Close() }, nil
}
