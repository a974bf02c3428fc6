package cli

import "testing"

func TestShare(t *testing.T) {
	for _, x := range []struct {
		limit                 uint64
		wanted, polls, opened int
	}{
		{1 << 20, 16, 16, 65526}, {1<<64 - 1, 1, 1, 1<<20 - 32}, {1024, 16, 16, 54}, {256, 16, 16, 6},
		{64, 16, 3, 5}, {64, 1, 1, 32}, {36, 16, 1, 4}, {8, 16, 1, 1}, {0, 1, 1, 1},
	} {
		if polls, opened := share(x.limit, x.wanted); polls != x.polls || opened != x.opened {
			t.Errorf("%d descriptors, %d polls: %d and %d files", x.limit, x.wanted, polls, opened)
		}
	}
}
