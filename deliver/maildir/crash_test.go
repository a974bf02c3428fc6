package maildir

import (
	"fmt"
	"os"
	"testing"
)

// effort is how many crashes are tried.
type effort struct {
	at     string // only crashes after this operation of the first run, "" = after each
	cuts   int    // most power cuts that are tried at one instant of the first run
	every  uint64 // one in so many states crashes again while it recovers, 0 = none
	recuts int    // most power cuts at one instant of that recovery
	least  int    // how many states this has to come to
}

// The torture takes all power cuts that are possible in the first run. TestCrash without it is
// short, and shorter still under the race detector.
func chooseEffort() effort {
	switch {
	case os.Getenv("POPFETCH_TORTURE") == "1":
		return effort{cuts: 1 << 20, every: 100, recuts: 6, least: 100_000}
	case raceDetector || testing.Short():
		return effort{cuts: 30, every: 400, recuts: 2, least: 1_000}
	}
	return effort{cuts: 800, every: 72, recuts: 4, least: 20_000}
}

// TestCrash: a fetch of five messages is cut short at every instant, by a kill and by every
// power cut that the file system allows (see package model), is started again, and in
// part of the cases is cut short once more in its recovery. What the
// program is made of is real: the poll of an account with this Maildir. Disk, state
// file and server are models that know what outlives a crash.
//
// At every crash each message has to be at the server, or whole where a reader sees it, or
// whole in tmp/ with a durable intent; so it has to be when a server acts upon
// DELE at once. After the next run each message is in the Maildir exactly
// once, wherever a reader has moved it. No reader ever sees a part of a message.
func TestCrash(t *testing.T) {
	e := chooseEffort()
	s := newCrashes(e)
	mail := newMail()
	for _, remove := range []bool{false, true} {
		for _, group := range []int{1, 2, 5} {
			name := fmt.Sprintf("keep, groups of %d", group)
			if remove {
				name = fmt.Sprintf("delete, groups of %d", group)
			}
			s.run(&trial{name: name, remove: remove, group: group, fresh: group == 1, mail: mail})
		}
		s.run(&trial{name: fmt.Sprintf("synced together, delete %v", remove), remove: remove, group: 5, bulk: true, mail: mail})
	}
	for _, p := range s.problems {
		t.Error(p)
	}
	caught := "caught"
	for _, c := range controls(mail) {
		if !c.caught(t) {
			caught = "missed"
			t.Errorf("with %s nothing was lost or repeated: the test is blind", c.name)
		}
	}
	if s.points < e.least {
		t.Errorf("%d states, want %d or more", s.points, e.least)
	}
	t.Logf("%d states after one crash, %d more after another one in the recovery; a sample of the power cuts at %d instants of the first run and %d of recoveries",
		s.once, s.points-s.once, s.sampled[firstRun], s.sampled[nextRun])
	t.Logf("TORTURE model points=%d lost=%d repeated=%d controls=%s", s.points, s.lost, s.repeated, caught)
}

// control is a program that lacks one step.
type control struct {
	name string
	omission
	effort
	mail *mail
}

func controls(m *mail) []control {
	once := effort{cuts: 10}
	return []control{
		{"no sync of files", omission{fileSync: true}, once, m},
		{"no sync of tmp/", omission{dirSync: "tmp"}, once, m},
		{"no sync of new/", omission{dirSync: "new"}, once, m},
		{"the record after the rename", omission{early: true}, once, m},
		// A kill leaves the intent in the log, and a power cut takes it away in the recovery.
		{"no sync of an intent before it is believed", omission{logSync: true},
			effort{at: "write log", every: 1, recuts: 4}, m},
	}
}

// caught says whether messages were lost or repeated.
func (c control) caught(t *testing.T) bool {
	s := newCrashes(c.effort)
	for _, remove := range []bool{false, true} {
		s.run(&trial{name: c.name, remove: remove, group: 5, omitted: c.omission, mail: c.mail})
	}
	t.Logf("control: %s: %d states, %d lost, %d repeated, %d in parts", c.name, s.points, s.lost, s.repeated, s.partial)
	return s.lost+s.repeated > 0
}
