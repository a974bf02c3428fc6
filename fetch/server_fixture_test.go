package fetch_test

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

// soon is a generous limit for a poll that has nothing to wait for, on a busy
// machine.
const soon = time.Minute

// brief is the timeout of one reply in tests with a silent server, which clocked runs.
const brief = 200 * time.Millisecond

// visit polls once within a time and wants no file descriptor left open.
func (h *fixture) visit(most time.Duration) (fetch.Report, error) {
	h.t.Helper()
	before, start := descriptors(h.t), time.Now()
	r, err := h.poll()
	if took := time.Since(start); took > most {
		h.t.Errorf("the poll took %v, more than %v", took, most)
	}
	if after := descriptors(h.t); after > before {
		h.t.Errorf("%d descriptors are open, %d were before", after, before)
	}
	return r, err
}

// descriptors counts the open file descriptors of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// visitWith polls under faults. It wants an error of a class, and only whole
// messages in new/, none twice.
func (h *fixture) visitWith(want fetch.Class, most time.Duration, f ...pop3test.Fault) (fetch.Report, error) {
	h.t.Helper()
	h.server.SetFaults(f...)
	r, err := h.visit(most)
	if h.options.Pipelining == pop3.PipelineAuto && want == fetch.Temporary && fetch.Classify(err) == fetch.Protocol {
		want = fetch.Protocol // a server out of step is silent, or says what makes no sense
	}
	class(h.t, err, want)
	h.onlyWholeMessages()
	return r, err
}

// onlyWholeMessages checks that every file in new/ is one of the messages that the server
// has or had, and that none is there twice.
func (h *fixture) onlyWholeMessages() {
	h.t.Helper()
	seen := map[string]bool{}
	for _, got := range h.mail("new") {
		known := slices.ContainsFunc(h.texts(9), func(s string) bool { return s == got })
		switch {
		case !known:
			h.t.Errorf("new/ has a file that is not a message: %.300q", got)
		case seen[got]:
			h.t.Errorf("new/ has twice: %.100q", got)
		}
		seen[got] = true
	}
	if left := h.mail("tmp"); len(left) > 0 {
		h.t.Errorf("tmp/ has %d files", len(left))
	}
}

func (h *fixture) texts(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = text(i + 1)
	}
	return all
}

// converge removes the faults and polls once: new/ must then have exactly one
// copy of each message, and in delete mode the server none.
func (h *fixture) converge(nums ...int) fetch.Report {
	h.t.Helper()
	h.server.SetFaults()
	r, err := h.visit(soon)
	if err != nil {
		h.t.Errorf("the clean poll: %v", err)
	}
	h.delivered(nums...)
	if h.account.Policy.Delete {
		h.onServer()
	}
	return r
}

// modes are one by one and pipelined.
var modes = map[string]pop3.Pipelining{"one by one": pop3.PipelineOff, "pipelined": pop3.PipelineAuto}

// eachModeClocked is eachMode by clocked, for a server that falls silent: it is given up soon.
func eachModeClocked(t *testing.T, n int, test func(t *testing.T, h *fixture)) {
	for name, p := range modes {
		t.Run(name, func(t *testing.T) {
			clocked(t, n, nil, func(t *testing.T, h *fixture) {
				h.options.Timeout = brief
				h.options.Pipelining = p
				h.account.Policy.Delete = true
				test(t, h)
			})
		})
	}
}

// eachModeUnder is eachMode for a test of a fault. Only TCP has an RST, and only clocked
// a silence that is short on a slow machine too.
func eachModeUnder(t *testing.T, f pop3test.Fault, n int, test func(t *testing.T, h *fixture)) {
	if f.Do == pop3test.Reset {
		eachMode(t, n, test)
	} else {
		eachModeClocked(t, n, test)
	}
}

// eachMode runs a test in each mode with a fixture of n messages that deletes
// what it delivers.
func eachMode(t *testing.T, n int, test func(t *testing.T, h *fixture)) {
	for name, p := range modes {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, n, nil)
			h.options.Pipelining = p
			h.account.Policy.Delete = true
			test(t, h)
		})
	}
}

// secured makes the account use the TLS mode of the server.
func (h *fixture) secured(s pop3.Security) {
	h.options.Security = s
	h.options.TLS = &tls.Config{RootCAs: h.server.CA()}
}

func serving(s pop3test.Security) func(*pop3test.Server) {
	return func(srv *pop3test.Server) { srv.Security = s }
}

// heapWatcher is a connection that measures the heap every few octets.
type heapWatcher struct {
	net.Conn
	base  uint64
	since int
	peak  *atomic.Uint64
}

func (w *heapWatcher) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if w.since += n; w.since >= 1<<20 || err != nil {
		w.since = 0
		w.noteHeap()
	}
	return n, err
}

func (w *heapWatcher) noteHeap() {
	if now := heap(); now > w.base && now-w.base > w.peak.Load() {
		w.peak.Store(now - w.base)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// mostHeap is how many octets the heap may grow, whatever the server does.
const mostHeap = 32 << 20

// growsLittle checks that the heap grows by mostHeap at most during f, measured at the
// connections of the account.
func (h *fixture) growsLittle(f func()) {
	h.t.Helper()
	h.growsAtMost(mostHeap, f)
}

// growsAtMost is growsLittle with another limit.
func (h *fixture) growsAtMost(most uint64, f func()) {
	h.t.Helper()
	runtime.GC()
	var peak atomic.Uint64
	base := heap()
	h.options.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &heapWatcher{Conn: conn, base: base, peak: &peak}, nil
	}
	f()
	h.options.Dial = nil
	if got := peak.Load(); got > most {
		h.t.Errorf("the heap grew by %d MiB, more than %d MiB", got>>20, most>>20)
	}
}
