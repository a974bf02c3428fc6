package maildir

import (
	"fmt"
	"os"
	"testing"
)

// effort is how many crashes a test tries.
type effort struct {
	at     string // only crashes after this operation of the first run, "" = after each
	cuts   int    // most power cuts to try at one instant of the first run
	every  uint64 // every nth state crashes again during its recovery, 0 = none
	recuts int    // most power cuts to try at one instant of that recovery
	least  int    // the test fails if it tried fewer states
}

// chooseEffort returns the effort of this test run. With POPFETCH_TORTURE=1 it tries all power
// cuts that are possible in the first run, under the race detector very few.
func chooseEffort() effort {
	switch {
	case os.Getenv("POPFETCH_TORTURE") == "1":
		return effort{cuts: 1 << 20, every: 100, recuts: 6, least: 100_000}
	case raceDetector || testing.Short():
		return effort{cuts: 30, every: 400, recuts: 2, least: 1_000}
	}
	return effort{cuts: 800, every: 72, recuts: 4, least: 20_000}
}

// A fetch of five messages crashes at each instant, by a kill and by each power cut that the
// file system allows (see package model), and runs again. In a part of the cases it
// crashes once more during its recovery. The code under test is real: the poll of an account
// with this Maildir. Disk, state file and server are models that know what survives a crash.
//
// At a crash each message must be at the server, or whole where a reader sees it, or whole in
// tmp/ with a durable intent, also if the server acts upon DELE at once. After the next run
// each message must be in the Maildir exactly once, wherever a reader has moved it. No
// reader ever sees a part of a message.
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
			t.Errorf("with %s nothing was lost or repeated: the test cannot fail", c.name)
		}
	}
	if s.points < e.least {
		t.Errorf("%d states, want %d or more", s.points, e.least)
	}
	t.Logf("%d states after one crash, %d more after another one in the recovery; a sample of the power cuts at %d instants of the first run and %d of recoveries",
		s.once, s.points-s.once, s.sampled[firstRun], s.sampled[nextRun])
	t.Logf("TORTURE model points=%d lost=%d repeated=%d controls=%s", s.points, s.lost, s.repeated, caught)
}

// control is a program that omits one step. The test must see what comes of that.
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
		// A kill leaves the intent in the log, and a power cut during the recovery removes it.
		{"no sync of an intent before it is believed", omission{logSync: true},
			effort{at: "write log", every: 1, recuts: 4}, m},
	}
}

// caught reports whether messages were lost or repeated.
func (c control) caught(t *testing.T) bool {
	s := newCrashes(c.effort)
	for _, remove := range []bool{false, true} {
		s.run(&trial{name: c.name, remove: remove, group: 5, omitted: c.omission, mail: c.mail})
	}
	t.Logf("control: %s: %d states, %d lost, %d repeated, %d in parts", c.name, s.points, s.lost, s.repeated, s.partial)
	return s.lost+s.repeated > 0
}
