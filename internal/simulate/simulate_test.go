package simulate

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Variables in the environment.
const (
	torture = "POPFETCH_TORTURE"  // 1 = in full
	seeds   = "POPFETCH_SIMULATE" // this seed with a log, or those from FIRST-LAST
)

// inControl is the value of torture in the tests of a wrong change.
const inControl = "control"

// sum is the result of the years.
type sum struct {
	sync.Mutex
	years, polls, failed, mails, crashes int
	lost, repeated                       int
	allowed                              map[string]int // repeats, see oracle
}

func (s *sum) add(w *world) {
	s.Lock()
	defer s.Unlock()
	s.years++
	s.polls, s.failed, s.mails, s.crashes = s.polls+w.polls, s.failed+w.failed, s.mails+w.made, s.crashes+w.crashes
	s.lost, s.repeated = s.lost+w.lost, s.repeated+w.repeats
	for why, n := range w.oracle.repeated {
		s.allowed[why] += n
	}
}

func TestYear(t *testing.T) {
	first, years, loud := uint64(1), 12, false
	if os.Getenv(torture) == "1" {
		years = 1000
	}
	if s := os.Getenv(seeds); s != "" {
		from, to, several := strings.Cut(s, "-")
		last := first
		for _, b := range []struct {
			bound *uint64
			text  string
		}{{&first, from}, {&last, cmp.Or(to, from)}} {
			var err error
			if *b.bound, err = strconv.ParseUint(b.text, 10, 64); err != nil {
				t.Fatalf("%s: %v", seeds, err)
			}
		}
		years, loud = int(last+1-first), !several
	}
	all := sum{allowed: make(map[string]int)}
	began := time.Now()
	t.Run("seed", func(t *testing.T) {
		for seed := first; seed < first+uint64(years); seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, seed)
				w.loud = loud
				if err := w.start(); err != nil {
					t.Fatal(err)
				}
				defer w.stop()
				w.year()
				all.add(w)
			})
		}
	})
	t.Logf("%d polls of %d maildrops, a year each, in %v: %d polls failed, %d mails, %d crashes; repeats that popfetch(7) allows: %v",
		all.polls, all.years, time.Since(began).Round(time.Second), all.failed, all.mails, all.crashes, all.allowed)
	controls := "none"
	if os.Getenv(torture) != inControl && os.Getenv(seeds) == "" {
		ran := 0 // -run may leave some out, and then t.Run returns true
		caught := t.Run("controls", func(t *testing.T) { ran = testControls(t) })
		switch {
		case !caught:
			controls = "missed"
		case ran == len(wrongChanges):
			controls = "caught"
		}
	}
	fmt.Printf("TORTURE maildrop-years points=%d lost=%d repeated=%d controls=%s\n", all.years, all.lost, all.repeated, controls)
}
