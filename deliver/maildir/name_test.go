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
