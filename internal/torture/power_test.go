//go:build linux

package torture

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// The power of the file system with the Maildir, and mostly the state too, is cut as popfetch
// is killed.
func TestPowerCutOnExt4LosesNothing(t *testing.T) { testPower(t, ext4()) }

func TestPowerCutOnXFSLosesNothing(t *testing.T) { testPower(t, xfs()) }

// popfetch goes on after its file system has shut down, as after an error of the disk. Then the
// power is cut.
func TestDeadDiskWithExt4LosesNothing(t *testing.T) { testDeadDisk(t, ext4()) }

func TestDeadDiskWithXFSLosesNothing(t *testing.T) { testDeadDisk(t, xfs()) }

// The same with an mbox.
func TestPowerCutUnderAnMboxOnExt4LosesNothing(t *testing.T) { testPowerUnderMbox(t, ext4()) }

func TestPowerCutUnderAnMboxOnXFSLosesNothing(t *testing.T) { testPowerUnderMbox(t, xfs()) }

func testPower(t *testing.T, d disk) {
	testPowerOf(t, "power-"+d.name, newPower(t, d, toMaildir), noFileSync(), noSyncFS(), noDirSync())
}

func testPowerUnderMbox(t *testing.T, d disk) {
	testPowerOf(t, "power-mbox-"+d.name, newPower(t, d, toMbox), noMboxSync())
}

func testPowerOf(t *testing.T, suite string, p *power, omissions ...omission) {
	points := size(14, 300)
	sum := spread(4*points, until(points), p.trial)
	controls := "caught"
	for _, without := range omissions {
		bad := *p
		bad.bin = without.build(t)
		found := spread(size(60, 200), func(s score) bool { return s.lost > 0 }, bad.trial)
		if found.lost == 0 {
			controls = "missed"
			t.Errorf("%d power cuts under a popfetch with %q showed no loss", found.points, without.name)
		}
	}
	sum.report(t, points)
	printScore(suite, sum, controls)
}

func testDeadDisk(t *testing.T, d disk) {
	p := newPower(t, d, toMaildir)
	p.alive = true
	points := size(10, 100)
	sum := spread(4*points, until(points), p.trial)
	sum.report(t, points)
	printScore("dead-disk-"+d.name, sum, "none")
}

// power runs trials of one build.
type power struct {
	bin     string
	to      way
	counts  *census
	volumes []*volume // one for each worker
	dir     string    // stays powered
	alive   bool      // popfetch goes on after the cut
}

func newPower(t *testing.T, d disk, to way) *power {
	t.Helper()
	needsStrace(t)
	dir := scratch(t)
	needsVolume(t, d, dir)
	p := &power{bin: product(), to: to, dir: dir}
	p.counts = newCensus(p.bin, dir, receivers{})
	for w := range workers {
		v, err := newVolume(d, dir, fmt.Sprint("volume", w))
		must(t, err)
		t.Cleanup(func() { v.unmount() })
		p.volumes = append(p.volumes, v)
	}
	return p
}

func (p *power) trial(worker, i int) score {
	r := rand.New(rand.NewPCG(uint64(i), 2))
	account := kind{to: p.to, keep: i%3 == 0, stamped: p.to == toMbox && i%4 < 2}
	n := []int{1, 5, 120}[r.IntN(3)]
	at := pickProgress(r, account, n, true)
	if !p.alive {
		counts, err := p.counts.of(account, n)
		if err != nil {
			return broken("census", err)
		}
		switch r.IntN(8) {
		case 0:
			at = instant{theEnd, 1}
		case 1, 2, 3:
		default:
			at = pickCall(r, counts, []string{
				"fsync", "fsync", "syncfs", "syncfs", "fdatasync", "pwrite64", "renameat2", "renameat2", "write", "openat", "close", "mkdirat", "linkat", "unlinkat",
			})
		}
	}
	apart := i%3 == 1
	name := fmt.Sprintf("trial %d: %s, %d messages, power cut at %s", i, account, n, at)
	if apart {
		name += ", state on another disk"
	}
	sum, err := p.cut(worker, i, name, account, n, at, apart, r.IntN(3) == 0)
	if err != nil {
		return broken(name, err)
	}
	return sum
}

func (p *power) cut(worker, i int, name string, account kind, n int, at instant, apart, read bool) (sum score, err error) {
	v := p.volumes[worker]
	if !v.mounted || v.dark { // a trial before has failed
		if err := v.restart(); err != nil {
			return sum, err
		}
	}
	place := filepath.Join(v.dir, fmt.Sprint("t", i))
	dir := filepath.Join(p.dir, fmt.Sprint("t", i))
	defer os.RemoveAll(place)
	defer os.RemoveAll(dir)
	s, err := serve(n)
	if err != nil {
		return sum, err
	}
	defer s.Close()
	h, err := newHome(p.bin, dir, place, apart, account, s)
	if err != nil {
		return sum, err
	}
	if err := firstOf(os.MkdirAll(place, 0o700), v.sync()); err != nil {
		return sum, err
	}
	var dark error
	first, struck, err := h.strike(at, s, func(run *process) {
		if !p.alive {
			run.kill()
		}
		dark = v.cut()
	})
	if err := firstOf(err, dark); err != nil {
		return sum, err
	}
	if !first.killed && !first.expected() || at.on == theEnd && first.code != 0 {
		sum.faults = append(sum.faults, fmt.Sprintf("%s: the run before the cut: %v", name, first))
	}
	if struck {
		sum.points = 1
		if err := v.restart(); err != nil {
			return sum, err
		}
	}
	if read {
		if err := h.readMail(); err != nil {
			return sum, err
		}
		name += ", then read"
	}
	sum.add(h.runAndCount(name, s, n, 1))
	return sum, nil
}
