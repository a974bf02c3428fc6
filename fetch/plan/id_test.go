package plan

import (
	"strings"
	"testing"
)

// A unique-id that does not fit is recorded as its digest. Twins are told apart, and
// users see the unique-id.
func TestLongUniqueIDsAreRecordedAsDigests(t *testing.T) {
	twin := func(uid string, nth int) string { return string(appendTwin(nil, recordedID([]byte(uid)), nth)) }
	limit := strings.Repeat("x", maxUID)
	for _, tt := range []struct {
		uid  string
		nth  int
		want string
	}{
		{"abc", 1, "abc"},
		{"abc", 2, "abc\x002"},
		{"../../etc/passwd\x1b\xff", 1, "../../etc/passwd\x1b\xff"},
		{limit, 1, limit},
		{limit, 12, limit + "\x0012"},
		{limit + "x", 1, ""},
		{"a\x002", 1, ""},
	} {
		got := twin(tt.uid, tt.nth)
		hashed := len(tt.uid) > maxUID || strings.Contains(tt.uid, "\x00")
		if hashed != strings.HasPrefix(got, "sha256:") || !hashed && got != tt.want {
			t.Errorf("%.20q, copy %d: %.20q", tt.uid, tt.nth, got)
		}
		if tt.nth == 1 && !hashed && (Listed{ID: got}).UID() != tt.uid {
			t.Errorf("%.20q is shown as %.20q", tt.uid, Listed{ID: got}.UID())
		}
	}
	if twin("a\x002", 1) == twin("a", 2) || twin(limit+"x", 1) == twin(limit+"y", 1) {
		t.Error("two unique-ids have one id")
	}
}

// Two messages under one id never share a delivery id; a retry keeps it.
func TestDeliveryIDNamesOneMessage(t *testing.T) {
	ids := map[string]bool{}
	for _, maildrop := range []string{"a@x", "b@x"} {
		for _, id := range []string{"1", "2", displacedMark} {
			for _, nonce := range []uint32{0, 1, 1 << 31} {
				ids[DeliveryID(maildrop, id, nonce)] = true
			}
		}
	}
	if len(ids) != 18 {
		t.Errorf("%d delivery ids of 18 messages", len(ids))
	}
	if first, retry := DeliveryID("a@x", "1", 5), DeliveryID("a@x", "1", 5); first != retry {
		t.Error("a retry has another delivery id")
	}
}
