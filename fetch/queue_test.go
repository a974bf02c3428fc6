package fetch

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// queuedSlot returns a slot that became due at a second.
func queuedSlot(host string, i int) *slot {
	return &slot{Account: &Account{Name: fmt.Sprint(i), Host: host}, due: time.Unix(int64(i), 0), current: &underway{}}
}

// names returns the names of accounts in their order.
func names(slots []*slot) (all []string) {
	for _, sl := range slots {
		all = append(all, sl.Name)
	}
	return all
}

// With parallel_per_host below parallel, thousands of accounts may wait for one host while
// there are places for others.
func TestAccountsThatWaitForOneHostAreLookedAtAFewTimesEach(t *testing.T) {
	const n = 5000
	for _, hosts := range []int{1, 2, n} {
		t.Run(fmt.Sprint("hosts: ", hosts), func(t *testing.T) {
			q, limits := queue{}, places{parallel: 16, perHost: 4, hosts: make(map[string]int)}
			for i := range n {
				q.add(queuedSlot(fmt.Sprint(i%hosts), i))
			}
			looks := 0
			free := func(sl *slot) bool {
				looks++
				return limits.free(sl)
			}
			var polling, polled []*slot
			for len(polled) < n {
				for !limits.full() {
					sl := q.next(free, func(*slot) bool { return false })
					if sl == nil {
						break
					}
					limits.count(sl, 1)
					polling = append(polling, sl)
				}
				if len(polling) == 0 {
					t.Fatalf("%d accounts are left waiting", n-len(polled))
				}
				i := rand.IntN(len(polling))
				limits.count(polling[i], -1)
				q.release(polling[i].server())
				polled, polling = append(polled, polling[i]), slices.Delete(polling, i, i+1)
			}
			if looks > 3*n {
				t.Errorf("%d looks at %d accounts", looks, n)
			}
		})
	}
}

func TestQueueKeepsTheOrderInWhichAccountsBecameDue(t *testing.T) {
	var q queue
	a, b, c, d := queuedSlot("h", 1), queuedSlot("h", 2), queuedSlot("other", 3), queuedSlot("h", 4)
	for _, sl := range []*slot{a, b, c, d} {
		q.add(sl)
	}
	full := map[string]bool{"h": true}
	free := func(sl *slot) bool { return !full[sl.Host] }
	none := func(*slot) bool { return false }
	if got := q.next(free, none); got != c {
		t.Fatalf("%v", got)
	}
	if got := q.next(free, none); got != nil || !q.blocked() || len(q.all()) != 3 {
		t.Fatalf("%v", got)
	}
	q.add(queuedSlot("h", 5))
	full["h"] = false
	var got []*slot
	for range 4 {
		q.release("h")
		got = append(got, q.next(free, none))
	}
	if want := []string{"1", "2", "4", "5"}; !slices.Equal(names(got), want) || q.blocked() {
		t.Errorf("%q, want %q", names(got), want)
	}
}

// The maildrop of the first one is in use, which holds up no other of the host.
func TestAccountThatIsTakenGivesItsTurnToAnotherOneOfItsHost(t *testing.T) {
	var q queue
	a, b := queuedSlot("h", 1), queuedSlot("h", 2)
	q.add(a)
	q.add(b)
	all, none := func(*slot) bool { return true }, func(*slot) bool { return false }
	q.next(none, none) // both are held
	q.release("h")
	if got := q.next(all, func(sl *slot) bool { return sl == a }); got != b {
		t.Errorf("%v", got)
	}
	q.again()
	if got := q.next(all, none); got != a {
		t.Errorf("%v", got)
	}
}

// The place that was given to the account that is gone is not lost.
func TestAccountThatIsRemovedGivesItsTurnToAnotherOneOfItsHost(t *testing.T) {
	var q queue
	a, b := queuedSlot("h", 1), queuedSlot("h", 2)
	q.add(a)
	q.add(b)
	all, none := func(*slot) bool { return true }, func(*slot) bool { return false }
	q.next(none, none)
	q.release("h")
	q.remove(func(sl *slot) bool { return sl == a })
	if got := q.next(all, none); got != b {
		t.Errorf("%v", got)
	}
}
