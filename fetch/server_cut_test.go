package fetch_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

// cutMode is one way to run the small session that is cut at every octet.
type cutMode struct {
	name       string
	cut        pop3test.Kind
	at         string // "" = inside TLS, if there is TLS; "TLS" = below it
	delete     bool
	pipelining pop3.Pipelining
	tls        bool
	sparse     int64 // factor by which its sample has fewer points, 0 = 1
}

var cutModes = []cutMode{
	{"FIN, keep", pop3test.Drop, "", false, pop3.PipelineOff, false, 0},
	{"FIN, delete", pop3test.Drop, "", true, pop3.PipelineOff, false, 0},
	{"FIN, delete, pipelined", pop3test.Drop, "", true, pop3.PipelineAuto, false, 0},
	{"RST, keep", pop3test.Reset, "", false, pop3.PipelineOff, false, 0},
	{"RST, delete", pop3test.Reset, "", true, pop3.PipelineOff, false, 0},
	{"RST, delete, pipelined", pop3test.Reset, "", true, pop3.PipelineAuto, false, 0},
	{"close_notify, delete", pop3test.Drop, "", true, pop3.PipelineOff, true, 3},
	{"FIN without close_notify, delete", pop3test.CutTLS, "", true, pop3.PipelineAuto, true, 3},
	{"FIN below TLS, delete", pop3test.CutTLS, "TLS", true, pop3.PipelineOff, true, 7},
	{"RST below TLS, keep", pop3test.Reset, "TLS", false, pop3.PipelineOff, true, 7},
}

// sampleStep is the distance in octets between two points of the sample.
const sampleStep = 7

// score sums up the results of many points.
type score struct{ points, lost, repeated int }

// A whole session is cut after every octet that the server sends, from the
// greeting to the reply to QUIT. A clean poll afterwards must leave every message
// exactly once.
func TestSessionCutAfterAnyOctetLosesNothing(t *testing.T) {
	var sum score
	full := os.Getenv("POPFETCH_TORTURE") == "1"
	for i, m := range cutModes {
		t.Run(m.name, func(t *testing.T) {
			step, at := int64(1), int64(0)
			if !full {
				step, at = sampleStep*max(m.sparse, 1), int64(i)%sampleStep
			}
			for ; m.point(t, at, &sum); at += step {
			}
		})
	}
	if full {
		fmt.Printf("TORTURE server points=%d lost=%d repeated=%d controls=none\n", sum.points, sum.lost, sum.repeated)
	}
}

// point cuts a session after the octet at, and reports whether the session was that
// long.
func (m cutMode) point(t *testing.T, at int64, sum *score) (struck bool) {
	t.Helper()
	change := serving(pop3test.ClearText)
	if m.tls {
		change = serving(pop3test.ImplicitTLS)
	}
	failed := t.Failed()
	h := newFixture(t, 2, change)
	defer h.store.Close()
	defer h.server.Close()
	h.options.Pipelining = m.pipelining
	if m.tls {
		h.secured(pop3.ImplicitTLS)
	}
	h.account.Policy.Delete = m.delete
	h.server.SetFaults(pop3test.Fault{At: m.at, Do: m.cut, After: at, Hook: func() { struck = true }})
	_, err := h.visit(soon)
	if c := fetch.Classify(err); c != fetch.OK && c != fetch.Temporary {
		t.Errorf("class %d of %v", c, err)
	}
	h.onlyWholeMessages()
	h.somewhere(1, 2)
	r := h.converge(1, 2)
	if r.Failed > 0 {
		t.Errorf("the clean poll: %+v", r)
	}
	sum.points++
	for _, want := range h.texts(2) {
		n := 0
		for _, got := range h.mail("new") {
			if got == want {
				n++
			}
		}
		if n == 0 {
			sum.lost++
		}
		sum.repeated += max(n-1, 0)
	}
	if t.Failed() && !failed {
		t.Logf("%s: first at octet %d: the cut poll: %v", m.name, at, err)
	}
	return struck
}

// somewhere checks that each message is on the server or in new/.
func (h *fixture) somewhere(nums ...int) {
	h.t.Helper()
	stored := h.mail("new")
	for _, n := range nums {
		there := slices.ContainsFunc(h.drop.Messages(), func(m pop3test.Message) bool { return m.UID == message(n).UID })
		if !there && !slices.Contains(stored, text(n)) {
			h.t.Errorf("message %d is gone from the server and not delivered", n)
		}
	}
}

// A cut between the last DELE and QUIT deletes nothing, one between QUIT and its
// reply everything. In both cases the next poll brings no second copy and no
// download.
func TestCutAroundQuitBringsNoSecondDownload(t *testing.T) {
	for name, f := range map[string]pop3test.Fault{
		"before DELE is answered": {At: "DELE 3", Do: pop3test.Drop},
		"behind DELE":             {At: "DELE 3", Do: pop3test.Drop, After: pop3test.AfterStatus},
		"behind DELE, RST":        {At: "DELE 3", Do: pop3test.Reset, After: pop3test.AfterStatus},
		"QUIT not answered":       {At: "QUIT", Do: pop3test.Drop},
		"QUIT answered in part":   {At: "QUIT", Do: pop3test.Reset, After: 3},
		"QUIT never answered":     {At: "QUIT", Do: pop3test.Stall},
	} {
		t.Run(name, func(t *testing.T) {
			eachModeUnder(t, f, 3, func(t *testing.T, h *fixture) {
				r, _ := h.visitWith(fetch.Temporary, soon, f)
				if r.Delivered != 3 || r.Deleted != 0 {
					t.Errorf("%+v", r)
				}
				h.delivered(1, 2, 3)
				h.options.Timeout = soon
				h.converge(1, 2, 3)
				h.commands(2, []string{"RETR"})
			})
		})
	}
}

// The server drops the connection right after its reply to QUIT: that is the
// ordinary end.
func TestCutAfterTheReplyToQuitIsAnOrdinaryEnd(t *testing.T) {
	for _, cut := range []pop3test.Kind{pop3test.Drop, pop3test.Stall} {
		h := newFixture(t, 2, faults(pop3test.Fault{At: "QUIT", Do: cut, After: pop3test.AfterStatus}))
		h.account.Policy.Delete = true
		if r, err := h.visit(soon); err != nil || r.Deleted != 2 {
			t.Errorf("%+v", r)
		}
		h.delivered(1, 2)
		h.onServer()
	}
}

// Segments or TLS records of one octet make no difference.
func TestSegmentsOfEverySizeMakeNoDifference(t *testing.T) {
	for _, secured := range []bool{false, true} {
		for _, size := range []int64{1, 2, 3, 5, 7, 64} {
			t.Run(fmt.Sprintf("TLS %v, %d octets", secured, size), func(t *testing.T) {
				change := serving(pop3test.ClearText)
				if secured {
					change = serving(pop3test.ImplicitTLS)
				}
				h := newFixture(t, 3, change)
				if secured {
					h.secured(pop3.ImplicitTLS)
				}
				h.options.Pipelining = pop3.PipelineAuto
				h.account.Policy.Delete = true
				h.server.SetFaults(pop3test.Fault{At: "*", Do: pop3test.Slow, N: size})
				r, err := h.visit(soon)
				if err != nil || r.Delivered != 3 || r.Deleted != 3 {
					t.Errorf("%+v", r)
				}
				h.delivered(1, 2, 3)
				h.onServer()
			})
		}
	}
}

// A connection that is closed at once or stays silent is a temporary failure.
func TestConnectionThatIsRefusedSilentOrClosedAtOnce(t *testing.T) {
	for name, f := range map[string]pop3test.Fault{
		"FIN before the greeting": {At: "connect", Do: pop3test.Drop},
		"RST before the greeting": {At: "connect", Do: pop3test.Reset},
		"silence":                 {At: "connect", Do: pop3test.Stall},
		"silence in the greeting": {At: "greeting", Do: pop3test.Stall, After: 3},
	} {
		t.Run(name, func(t *testing.T) {
			eachModeUnder(t, f, 2, func(t *testing.T, h *fixture) {
				start := time.Now()
				h.visitWith(fetch.Temporary, soon, f)
				if took := time.Since(start); f.Do == pop3test.Stall && took != brief {
					t.Errorf("given up after %v", took)
				}
				h.options.Timeout = soon
				h.converge(1, 2)
			})
		})
	}
}
