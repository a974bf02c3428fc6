//go:build linux

package torture

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// disk is a kind of file system.
type disk struct {
	name    string
	octets  int64 // of a volume
	mkfs    []string
	options string // of mount
}

func ext4() disk {
	return disk{
		name: "ext4", octets: 48 << 20, options: "loop,commit=1000", // nothing but syncs writes the journal
		mkfs: []string{"mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,nodiscard"},
	}
}

func xfs() disk {
	return disk{
		name: "xfs", octets: 320 << 20, options: "loop", // the least that mkfs.xfs takes
		mkfs: []string{"mkfs.xfs", "-q", "-f", "-K"},
	}
}

// volume is a file system in a file.
type volume struct {
	disk
	image, dir string
	mounted    bool
	dark       bool // cut since it was mounted
}

// newVolume makes a volume and mounts it at dir/<name>.
func newVolume(d disk, dir, name string) (*volume, error) {
	v := &volume{disk: d, image: filepath.Join(dir, name+".image"), dir: filepath.Join(dir, name)}
	f, err := os.Create(v.image)
	if err != nil {
		return nil, err
	}
	if err := firstOf(f.Truncate(d.octets), f.Close(), os.Mkdir(v.dir, 0o700)); err != nil {
		return nil, err
	}
	if err := command(append(d.mkfs, v.image)...); err != nil {
		return nil, err
	}
	return v, v.mount()
}

func command(argv ...string) error {
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%q: %w: %.500s", argv, err, out)
	}
	return nil
}

func (v *volume) mount() error {
	err := command("mount", "-t", v.name, "-o", v.options, v.image, v.dir)
	v.mounted, v.dark = err == nil, false
	return err
}

// unmount waits until the volume is free. The kernel releases the files of a process some time
// after its end, and a process that another trial has just forked holds our descriptors until
// its exec. There is no signal for either, so unmount keeps trying.
func (v *volume) unmount() error {
	if !v.mounted {
		return nil
	}
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		err := unix.Unmount(v.dir, 0)
		if err == nil {
			v.mounted = false
			return nil
		}
		if !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("unmount %s: %w", v.dir, err)
		}
		select {
		case <-again.C:
		case <-limit.C:
			return fmt.Errorf("unmount %s: %w", v.dir, err)
		}
	}
}

// sync writes everything to the volume.
func (v *volume) sync() error {
	f, err := os.Open(v.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// XFS_IOC_GOINGDOWN, and EXT4_IOC_SHUTDOWN with the same number: the file system stops as in a
// power cut. It writes nothing more, not even the journal in memory.
const (
	goingDown = 0x8004587d
	noLog     = 2 // XFS_FSOP_GOING_FLAGS_NOLOGFLUSH
)

// cut cuts the power. All further calls fail with EIO.
func (v *volume) cut() error {
	f, err := os.Open(v.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	v.dark = true
	if err := unix.IoctlSetPointerInt(int(f.Fd()), goingDown, noLog); err != nil {
		return fmt.Errorf("shut down %s at %s: %w", v.name, v.dir, err)
	}
	return nil
}

// restart mounts the volume again, which replays the journal.
func (v *volume) restart() error {
	if err := v.unmount(); err != nil {
		return err
	}
	return v.mount()
}

// needsVolume skips the test if volumes cannot be made, mounted and shut down.
func needsVolume(t *testing.T, d disk, dir string) {
	t.Helper()
	needsMount(t)
	needs(t, d.mkfs[0], map[string]string{"ext4": "e2fsprogs", "xfs": "xfsprogs"}[d.name])
	v, err := newVolume(d, dir, "first")
	if err == nil {
		err = v.cut()
		if unmounted := v.unmount(); err == nil {
			err = unmounted
		}
	}
	if err != nil {
		t.Skipf("no power cuts on %s: %v", d.name, err)
	}
	os.Remove(v.image)
}
