//go:build linux

package torture

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// way is how an account delivers: the key of its destination in the configuration.
type way string

const (
	toMaildir way = "maildir"
	toMDA     way = "mda"
	toMbox    way = "mbox"
	toLMTP    way = "lmtp"
	toSMTP    way = "smtp"
	toIMAP    way = "imap"
)

// isRelay reports whether the mail goes to a server that cannot be asked what it has.
func (w way) isRelay() bool { return w == toLMTP || w == toSMTP }

// repeats reports whether a fault may repeat a message, with the same delivery id.
func (w way) repeats() bool { return w == toMDA || w.isRelay() }

// hasInbox reports whether a message arrives as a new file.
func (w way) hasInbox() bool { return w == toMaildir || w == toMDA }

// SIGKILL before the nth of each system call, at any command of POP3, LMTP and SMTP, and after
// a message has been accepted but before the reply.
func TestKillWhileDeliveringToAnMboxRepeatsNothing(t *testing.T) {
	testKillOnTheWay(t, toMbox, recordAfterRename(), append(changes(), "write"))
}

func TestKillWhileAppendingByIMAPRepeatsNothing(t *testing.T) {
	testKillOnTheWay(t, toIMAP, recordAfterRename(), append(changes(), "read"))
}

func TestKillWhileSendingByLMTPRepeatsOneMessage(t *testing.T) {
	testKillOnTheWay(t, toLMTP, trustCut(), []string{"DATA"})
}

func TestKillWhileSendingBySMTPRepeatsOneMessage(t *testing.T) {
	testKillOnTheWay(t, toSMTP, trustCut(), []string{"DATA"})
}

// testKillOnTheWay kills popfetch, and one without a step of safety at the instants among.
func testKillOnTheWay(t *testing.T, to way, without omission, among []string) {
	needsStrace(t)
	real := receivers{dovecot: startReceiver(t, to)}
	from := receivers{}
	if to == toIMAP {
		if from = real; real.dovecot == nil {
			t.Skip("there is no server for IMAP, see above")
		}
	}
	counts := newCensus(product(), scratch(t), from)
	k := killer{bin: product(), ways: []way{to}, counts: counts, servers: inTest, receivers: from, dir: scratch(t)}
	points := size(12, 300)
	sum := spread(4*points, until(points), k.trial)
	if to == toLMTP && real.dovecot != nil {
		into := k
		into.receivers, into.dir = real, scratch(t)
		more := size(4, 60)
		sum.add(spread(4*more, until(more), into.trial))
		points += more
	}

	bad := killer{bin: without.build(t), ways: []way{to}, counts: counts, servers: inTest, receivers: from, control: among, dir: scratch(t)}
	found := spread(size(100, 500), noticed, bad.trial)
	controls := "caught"
	if !noticed(found) {
		controls = "missed"
		t.Errorf("%d kills of a popfetch with %q showed nothing", found.points, without.name)
	}
	sum.report(t, points)
	printScore("kill-"+string(to), sum, controls)
}

func noticed(s score) bool { return s.lost > 0 || s.repeated > 0 }

// stamped matches the Received field of popfetch up to the delivery id.
var stamped = regexp.MustCompile(`\(popfetch [^)]*\) with \S+ id ([0-9a-f]+)`)

// gather collects delivered messages. What precedes one are fields that were added. It names
// each copy by its delivery id, and its place among texts.
func gather(texts [][]byte) copies {
	c := copies{whole: make(map[int][]string)}
	for n, text := range texts {
		start := max(bytes.Index(text, []byte(inSource)), 0)
		added, source := text[:start], text[start:]
		i, ok := marked(source)
		if !ok || !bytes.Equal(source, compose(i)) {
			c.wrong = append(c.wrong, fmt.Sprintf("message %d of %d: %.300q (%d octets)", n, len(texts), text, len(text)))
			continue
		}
		id := ""
		if found := stamped.FindSubmatch(added); found != nil {
			id = string(found[1])
		}
		c.whole[i] = append(c.whole[i], fmt.Sprint(id, ".", n))
	}
	return c
}

// quoted matches the lines that the format mboxrd has quoted.
var quoted = regexp.MustCompile(`(?m)^>(>*From )`)

// inMbox returns the messages of an mboxrd file, none if there is no file.
func inMbox(path string) ([][]byte, error) {
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) || err == nil && len(text) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rest, begun := bytes.CutPrefix(text, []byte("From "))
	rest, ended := bytes.CutSuffix(rest, []byte("\n\n"))
	if !begun || !ended {
		return nil, fmt.Errorf("%s has a part of a message: %.100q ... %q", path, text, text[max(0, len(text)-100):])
	}
	var texts [][]byte
	for part := range bytes.SplitSeq(rest, []byte("\n\nFrom ")) {
		_, message, _ := bytes.Cut(part, []byte("\n")) // without the From line
		texts = append(texts, append(quoted.ReplaceAll(message, []byte("$1")), '\n'))
	}
	return texts, nil
}

// readMbox rewrites an mbox as a mail reader does: each message gets a Status field. A lock
// file keeps it away. Without one, every message has to be whole.
func readMbox(path string) error {
	if _, err := os.Stat(path + ".lock"); err == nil {
		return nil
	}
	texts, err := inMbox(path)
	if err != nil || len(texts) == 0 {
		return err
	}
	if c := gather(texts); len(c.wrong) > 0 {
		return fmt.Errorf("a mail reader finds %q", c.wrong)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text = regexp.MustCompile(`(?m)^From .*\n`).ReplaceAll(text, []byte("${0}Status: RO\n"))
	next := filepath.Join(filepath.Dir(path), "rewritten")
	return firstOf(os.WriteFile(next, text, 0o600), os.Rename(next, path))
}

// receiver is a server that takes the mail of one account.
type receiver interface {
	keys() string // for the configuration of the account
	// texts returns what it has taken, with LF line ends.
	texts() ([][]byte, error)
	verbs() []string // the commands that on knows
	// on is as that of server. The verb accepted stands for a message that has been taken.
	on(verb string, n int, fn func()) bool
}

// receivers opens receivers.
type receivers struct{ dovecot *dovecot } // nil = there is none

// open returns a receiver without mail, nil for a way that needs none. The caller calls end.
func (r receivers) open(to way, trial string) (_ receiver, end func(), err error) {
	switch {
	case to == toIMAP || to == toLMTP && r.dovecot != nil:
		root, err := r.dovecot.AddUser(trial)
		return &mailbox{r.dovecot, to, trial}, func() { os.RemoveAll(root) }, err
	case to.isRelay():
		s, err := startMailServer(to)
		return s, s.close, err
	}
	return nil, func() {}, nil
}
