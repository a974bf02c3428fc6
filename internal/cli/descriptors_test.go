package cli

import "testing"

func TestFewDescriptorsMeanFewPolls(t *testing.T) {
	for _, x := range []struct {
		limit               uint64
		parallel, accounts  int
		polls, spare, files int
	}{
		{1 << 20, 16, 16, 16, 15, 65526}, {1<<64 - 1, 16, 1, 1, 0, 1<<20 - 32}, {1024, 16, 500, 16, 16, 23},
		{1024, 50, 500, 42, 41, 4}, {256, 16, 500, 10, 9, 4}, {64, 16, 500, 2, 1, 5}, {64, 16, 1, 1, 0, 32},
		{36, 16, 3, 1, 0, 4}, {8, 16, 2, 1, 0, 1}, {0, 1, 1, 1, 0, 1}, {1024, 1, 500, 1, 16, 50},
	} {
		polls, spare, files := share(x.limit, x.parallel, x.accounts)
		if polls != x.polls || spare != x.spare || files != x.files {
			t.Errorf("%d descriptors, parallel %d, %d accounts: %d and %d polls, %d files", x.limit, x.parallel, x.accounts, polls, spare, files)
		}
	}
}
