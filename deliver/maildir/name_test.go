package maildir

import (
	"strings"
	"testing"
	"time"
)

func TestIsOwned(t *testing.T) {
	name := newName(time.Now(), testOwner, "desk")
	if !isOwned(name, testOwner) {
		t.Errorf("%s is ours", name)
	}
	for _, other := range []string{
		"", "x", "1.M2P3.host", strings.Replace(name, testOwner, "fedcba9876543210", 1), "x" + name, name[:40],
		"1.P2T" + testOwner + "Rzz.desk",
	} {
		if isOwned(other, testOwner) {
			t.Errorf("%s is not ours", other)
		}
	}
}

// Names differ also while the clock stands still or goes back, and are known as ours.
func TestNamesDifferWhateverTheClockSays(t *testing.T) {
	now := time.Now()
	seen := make(map[string]bool)
	for _, when := range []time.Time{now, now, now.Add(-time.Hour), time.Unix(0, 0), time.Unix(1<<33, 0)} {
		for range 1000 {
			name := newName(when, testOwner, "desk")
			if seen[name] {
				t.Fatalf("%s was made twice", name)
			}
			seen[name] = true
			if !isOwned(name, testOwner) {
				t.Fatalf("%s is not recognised as ours", name)
			}
		}
	}
}
