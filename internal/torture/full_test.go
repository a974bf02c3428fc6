//go:build linux

package torture

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The file system runs out of space or of inodes at some point, which really shortens writes.
func TestFullFileSystemLosesNothing(t *testing.T) {
	needsMount(t)
	f := filler{bin: product(), dir: scratch(t)}
	if err := unix.Mount("tmpfs", f.dir, "tmpfs", 0, ""); err != nil {
		t.Skipf("no tmpfs: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(f.dir, unix.MNT_DETACH) })
	points := size(15, 200)
	sum := spread(4*points, until(points), f.trial)
	sum.report(t, points)
	printScore("full", sum, "none")
}

// filler runs trials on small file systems below dir.
type filler struct{ bin, dir string }

func (f filler) trial(_, i int) score {
	r := rand.New(rand.NewPCG(uint64(i), 4))
	account := kind{to: toMaildir, keep: i%2 == 0}
	n := []int{5, 120}[r.IntN(2)]
	room := fmt.Sprintf("size=%dk", 4+4*r.IntN(40+n*8))
	if i%3 == 0 {
		room = fmt.Sprintf("nr_inodes=%d", 2+r.IntN(n+12))
	}
	apart := i%4 == 3
	name := fmt.Sprintf("trial %d: %s, %d messages, tmpfs with %s", i, account, n, room)
	if apart {
		name += ", state on another disk"
	}
	sum, err := f.fill(i, name, account, n, room, apart)
	if err != nil {
		return broken(name, err)
	}
	return sum
}

func (f filler) fill(i int, name string, account kind, n int, room string, apart bool) (sum score, err error) {
	dir := filepath.Join(f.dir, fmt.Sprint("t", i))
	place := filepath.Join(dir, "small")
	defer os.RemoveAll(dir)
	if err := os.MkdirAll(place, 0o700); err != nil {
		return sum, err
	}
	if err := unix.Mount("tmpfs", place, "tmpfs", 0, room); err != nil {
		return sum, err
	}
	defer unix.Unmount(place, unix.MNT_DETACH)
	s, err := serve(n)
	if err != nil {
		return sum, err
	}
	defer s.Close()
	h, err := newHome(f.bin, dir, place, apart, account, s)
	if err != nil {
		return sum, err
	}
	end, err := h.run()
	if err != nil {
		return sum, err
	}
	if left := h.leftovers(); end.code == 73 && len(left) > 0 {
		sum.faults = append(sum.faults, fmt.Sprintf("%s: left in tmp/ after the failure: %q", name, left[:min(3, len(left))]))
	}
	if err := unix.Mount("tmpfs", place, "tmpfs", unix.MS_REMOUNT, "size=1g,nr_inodes=100000"); err != nil {
		return sum, err
	}
	if end.code != 0 {
		sum.points = 1
	}
	if !end.expected() {
		sum.faults = append(sum.faults, fmt.Sprintf("%s: %v", name, end))
	}
	sum.add(h.runAndCount(name, s, n, 1))
	return sum, nil
}
