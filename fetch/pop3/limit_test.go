package pop3

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
)

// wantLimit checks that err is a *ProtocolError exactly beyond the limit.
func wantLimit(t *testing.T, over int, err error) {
	t.Helper()
	var bad *ProtocolError
	if over <= 0 && err != nil || over > 0 && !errors.As(err, &bad) {
		t.Errorf("limit%+d: %v", over, err)
	}
	if bad != nil && len(bad.Line) > maxShown {
		t.Errorf("the error shows %d octets", len(bad.Line))
	}
}

func TestStatusLineLimit(t *testing.T) {
	for _, end := range []string{"\r\n", "\n"} {
		for over := -1; over <= 1; over++ {
			line := "+OK " + strings.Repeat("x", maxStatus+over-4) + end
			_, err := peer{script: "S= " + strconv.Quote(line)}.dial(t, &Options{Security: ClearText})
			wantLimit(t, over, err)
			wantLimit(t, over, rawReply(t, line, false).Noop())
		}
	}
}

// A line without an end is refused as soon as it is too long.
func TestEndlessStatusLine(t *testing.T) {
	wantLimit(t, 1, rawReply(t, strings.Repeat("x", maxStatus+2), false).Noop())
}

func TestListingLineLimit(t *testing.T) {
	for over := -1; over <= 1; over++ {
		// Blanks fill the line, so that only its length is wrong.
		line := "7 x" + strings.Repeat(" ", maxListing+over-3)
		c := rawListing(t, "+OK\r\n"+line+"\r\n8 y\r\n.\r\n")
		var got []string
		for u, err := range c.Uidl() {
			var bad *LineError
			switch {
			case errors.As(err, &bad):
				got = append(got, "bad "+strconv.Itoa(bad.Num))
			case err != nil:
				t.Error(err)
			default:
				got = append(got, string(u.ID))
			}
		}
		want := "x y"
		if over > 0 {
			want = "bad 7 y"
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("limit%+d: %s", over, s)
		}
	}
}

func TestEndlessListingLine(t *testing.T) {
	c := rawListing(t, "+OK\r\n1 "+strings.Repeat("x", 2*maxDiscard))
	var last error
	for _, err := range c.Uidl() {
		last = err
	}
	wantLimit(t, 1, last)
	if c.Broken() == nil {
		t.Error("not broken")
	}
}

func TestCapabilityLimit(t *testing.T) {
	for over := -1; over <= 1; over++ {
		c := rawReply(t, "+OK\r\n"+strings.Repeat("X\r\n", maxCapabilities+over)+".\r\n", false)
		_, err := c.Capa()
		wantLimit(t, over, err)
	}
	_, err := rawReply(t, "+OK\r\nX "+strings.Repeat("x", maxListing)+"\r\n.\r\n", false).Capa()
	wantLimit(t, 1, err)
}

func TestListingLimit(t *testing.T) {
	const limit = 1000 // the real one needs seconds
	for over := -1; over <= 1; over++ {
		c := rawReply(t, strings.Repeat("1 x\r\n", limit+over)+".\r\n", false)
		c.queue("UIDL", "UIDL", "UIDL")
		if err := c.flush(); err != nil {
			t.Fatal(err)
		}
		_, err := c.listing("UIDL", limit, func([]byte, *LineError) bool { return true })
		wantLimit(t, over, err)
		var reply *ProtocolError
		if over > 0 && (!errors.As(err, &reply) || !reply.TooLong) {
			t.Errorf("%v does not say that the listing is too long", err)
		}
	}
}

// A listing of long lines is bounded too, whether they can be used or not.
func TestListingOctetLimit(t *testing.T) {
	for _, length := range []int{maxListing - 2, maxListing + 2} {
		line := "1 " + strings.Repeat("x", length-4) + "\r\n"
		for over := range 2 {
			lines := maxListingOctets/length + over
			c := rawReply(t, strings.Repeat(line, lines)+".\r\n", false)
			c.queue("UIDL", "UIDL", "UIDL")
			if err := c.flush(); err != nil {
				t.Fatal(err)
			}
			_, err := c.listing("UIDL", lines+1, func([]byte, *LineError) bool { return true })
			wantLimit(t, over, err)
		}
	}
}

func TestChallengeLimit(t *testing.T) {
	for over := -1; over <= 1; over++ {
		line := "+ " + strings.Repeat("x", maxChallenge+over-2)
		c := rawReply(t, line+"\r\n", false)
		c.queue("AUTH", "AUTH", "AUTH")
		_, got, err := c.reply(maxChallenge)
		wantLimit(t, over, err)
		if err == nil && string(got) != line {
			t.Errorf("got %d octets of %d", len(got), len(line))
		}
	}
}

func TestBareLineFeedsInReplies(t *testing.T) {
	c := rawListing(t, "+OK\n1 a\n.\n")
	for u, err := range c.Uidl() {
		if string(u.ID) != "a" || err != nil {
			t.Errorf("%v, %v", u, err)
		}
	}
}

// A long body needs no more memory than a short one.
func TestLongBody(t *testing.T) {
	body := strings.Repeat("x", 1<<22)
	c := rawReply(t, "+OK\r\n"+body+"\r\n.\r\n", false)
	for m, err := range c.Retr([]int{1}, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, m.Body); n != 1<<22+2 || err != nil {
			t.Errorf("%d octets, %v", n, err)
		}
	}
}
