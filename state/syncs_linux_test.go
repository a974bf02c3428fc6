package state

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// strace runs a part of play under strace(1) with more arguments. It returns what the
// process wrote, its errors included, and the calls.
func strace(t *testing.T, part, path string, args ...string) (said string, calls []string) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "trace")
	args = append([]string{"-f", "-qq", "-s", "300", "-y", "-o", log}, append(args, exe, path)...)
	cmd := exec.Command("strace", args...)
	cmd.Env = append(os.Environ(), partVariable+"="+part)
	out, _ := cmd.CombinedOutput()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Skipf("strace does not work here: %v, %s", err, out)
	}
	return string(out), joinHalves(strings.Split(string(text), "\n"))
}

// joinHalves joins the two lines of a call during which another thread made one. A
// call stands where it has returned.
func joinHalves(lines []string) (calls []string) {
	begun := map[string]string{}
	for _, line := range lines {
		pid, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		call = strings.TrimSpace(call)
		if half, ok := strings.CutSuffix(call, " <unfinished ...>"); ok {
			begun[pid] = half
			continue
		}
		if strings.HasPrefix(call, "<... ") {
			_, rest, _ := strings.Cut(call, "resumed>")
			call = begun[pid] + rest
		}
		calls = append(calls, call)
	}
	return calls
}

var (
	syncCall  = regexp.MustCompile(`^f(?:data)?sync\(\d+<([^>]*)>.*= 0$`)
	writeCall = regexp.MustCompile(`^(?:p?write(?:64|v|v2)?|ftruncate|sendfile(?:64)?)\(\d+<([^>]*)>`)
	copyCall  = regexp.MustCompile(`^copy_file_range\(\d+<[^>]*>, [^,]*, \d+<([^>]*)>`)
	nameCall  = regexp.MustCompile(`^(rename|link|unlink)(?:at2?|2)?\(.*= 0$`)
	quoted    = regexp.MustCompile(`"([^"]*)"`)
	random    = regexp.MustCompile(`(\.new-)[0-9a-f]+|(\.damaged-)[0-9TZ]+`)
)

// events returns the calls that succeeded and concern the directory, as "write NAME",
// "sync NAME", "rename OLD NEW", "link OLD NEW" and "unlink NAME", with the random parts
// of names cut off. "sync " is that of the directory. A write elsewhere, as to a pipe,
// is "say".
func events(calls []string, dir string) (list []string) {
	for _, call := range calls {
		var words []string
		switch {
		case syncCall.MatchString(call):
			words = []string{"sync", syncCall.FindStringSubmatch(call)[1]}
		case writeCall.MatchString(call):
			words = []string{"write", writeCall.FindStringSubmatch(call)[1]}
		case copyCall.MatchString(call):
			words = []string{"write", copyCall.FindStringSubmatch(call)[1]}
		case nameCall.MatchString(call):
			words = nameCall.FindStringSubmatch(call)[1:2:2]
			for _, m := range quoted.FindAllStringSubmatch(call, -1) {
				words = append(words, m[1])
			}
		default:
			continue
		}
		if words[0] == "write" && !strings.HasPrefix(words[1], dir) {
			list = append(list, "say")
			continue
		}
		for i := 1; i < len(words); i++ {
			words[i] = strings.TrimPrefix(strings.TrimPrefix(words[i], dir), "/")
		}
		list = append(list, random.ReplaceAllString(strings.Join(words, " "), "$1$2"))
	}
	return list
}

// changes returns the events but for the writes.
func changes(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(e string) bool {
		return e == "say" || strings.HasPrefix(e, "write ")
	})
}

// wantOrder looks for events in an order, with any others between them.
func wantOrder(t *testing.T, have []string, want ...string) {
	t.Helper()
	rest := have
	for _, w := range want {
		at := slices.Index(rest, w)
		if at < 0 {
			t.Errorf("no %q in its place in\n%s", w, strings.Join(have, "\n"))
			return
		}
		rest = rest[at+1:]
	}
}

// wantSyncedBefore fails if a file was written and not synced before an event.
func wantSyncedBefore(t *testing.T, have []string, file, event string) {
	t.Helper()
	dirty, found := false, false
	for _, e := range have {
		switch e {
		case "write " + file:
			dirty = true
		case "sync " + file:
			dirty = false
		case event:
			found = true
			if dirty {
				t.Errorf("%q, and %s was not synced after its last write:\n%s", event, file, strings.Join(have, "\n"))
				return
			}
		}
	}
	if !found || !slices.Contains(have, "write "+file) {
		t.Errorf("no %q, or no write to %s:\n%s", event, file, strings.Join(have, "\n"))
	}
}

const traced = "-etrace=fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat," +
	"write,writev,pwrite64,pwritev,pwritev2,ftruncate,copy_file_range,sendfile"

// A new file is synced after its last write and before it gets its name, and the name is
// synced before anything is built on it.
func TestFilesAreSyncedBeforeTheyAreNamed(t *testing.T) {
	path := newPath(t)
	dir := filepath.Dir(path)
	_, calls := strace(t, "once", path, traced)
	made := events(calls, dir)
	// The directory may be new too: its own entry has to survive before the file does.
	wantOrder(t, made, "sync "+strings.TrimPrefix(filepath.Dir(dir), "/"),
		"sync state.db.new-", "link state.db.new- state.db", "sync ", "unlink state.db.new-")
	wantSyncedBefore(t, made, "state.db.new-", "link state.db.new- state.db")

	path, _, _ = yesterday(t)
	dir = filepath.Dir(path)
	_, calls = strace(t, "compact", path, traced)
	compacted := events(calls, dir)
	wantOrder(t, compacted,
		"sync state.db.new-", "rename state.db.new- state.db", "sync ", "unlink state.db.new-")
	wantSyncedBefore(t, compacted, "state.db.new-", "rename state.db.new- state.db")

	_, calls = strace(t, "restore", path, traced)
	restored := events(calls, dir)
	wantOrder(t, restored,
		"sync state.db.new-", "link state.db state.db.damaged-", "sync ",
		"rename state.db.new- state.db", "sync ", "unlink state.db.new-")
	wantSyncedBefore(t, restored, "state.db.new-", "rename state.db.new- state.db")

	_, calls = strace(t, "snapshot", path, traced)
	copied := events(calls, dir)
	wantOrder(t, copied,
		"sync state.db.bak.new-", "rename state.db.bak.new- state.db.bak", "sync ")
	wantSyncedBefore(t, copied, "state.db.bak.new-", "rename state.db.bak.new- state.db.bak")
}

func TestOpenSyncsTheNameThatAKilledProcessHasLeft(t *testing.T) {
	path := newPath(t)
	mustClose(t, mustOpen(t, path))
	if err := os.WriteFile(path+".new-1", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, calls := strace(t, "once", path, traced)
	wantOrder(t, events(calls, filepath.Dir(path)), "sync ", "unlink state.db.new-")
	_, calls = strace(t, "once", path, traced)
	if got := changes(events(calls, filepath.Dir(path))); len(got) > 0 {
		t.Errorf("nothing was left, and Open has changed something: %q", got)
	}
}

func TestCommitIsSyncedBeforeItReturns(t *testing.T) {
	path := newPath(t)
	mustClose(t, mustOpen(t, path))
	_, calls := strace(t, "two commits", path, traced)
	list := events(calls, filepath.Dir(path))
	wantSyncedBefore(t, list, "state.db", "say")
	if n := len(slices.DeleteFunc(slices.Clone(list), func(e string) bool { return e != "say" })); n != 3 {
		t.Errorf("%d lines of output, want one for Open and one for each commit:\n%s", n, strings.Join(list, "\n"))
	}
}

// A power cut could take back the name of such a file. Neither the process that put it
// there uses it nor the next one.
func TestFileIsNotUsedWhileItsDirectoryCannotBeSynced(t *testing.T) {
	for what, prepare := range map[string]func() (part, path string, want contents){
		"new":             func() (string, string, contents) { return "once", newPath(t), contents{} },
		"compact":         func() (string, string, contents) { path, _, want := yesterday(t); return "compact", path, want },
		"compact at open": func() (string, string, contents) { path, want := wasteful(t, 500); return "once", path, want },
		"restore":         func() (string, string, contents) { path, _, want := yesterday(t); return "restore", path, want },
	} {
		part, path, want := prepare()
		dir, when := filepath.Dir(path), ""
		if part == "restore" { // the first sync is of the name of the file that is kept
			when = ":when=2"
			want = readCopy(t, path+snapshotSuffix)
		}
		said, _ := strace(t, part, path, "-P", dir, "-etrace=fsync", "-einject=fsync:error=EIO"+when)
		if !strings.Contains(said, "input/output error") || !strings.Contains(said, path) {
			t.Errorf("%s: it said %q", what, said)
		}
		said, _ = strace(t, "once", path, "-P", dir, "-etrace=fsync", "-einject=fsync:error=EIO")
		if !strings.Contains(said, "input/output error") {
			t.Errorf("%s, and the next Open: it said %q", what, said)
		}
		wantContents(t, mustOpen(t, path), want)
		wantNoLeftovers(t, path)
	}
}

// The kernel says that the directory is on NFS.
func TestNetworkFileSystemIsRefused(t *testing.T) {
	var fsType [8]byte
	binary.NativeEndian.PutUint64(fsType[:], unix.NFS_SUPER_MAGIC)
	inject := "-einject=statfs:poke_exit=@arg2=" + hex.EncodeToString(fsType[:])
	for _, part := range []string{"once", "compact", "restore"} {
		path, _, _ := yesterday(t)
		before := mustReadFile(t, path)
		said, calls := strace(t, part, path, "-etrace=statfs", inject)
		if len(calls) > 0 && !strings.Contains(strings.Join(calls, " "), "INJECTED") {
			t.Skipf("strace cannot change results here: %s", said)
		}
		for _, words := range []string{path, filepath.Dir(path) + " is on a network file system (NFS)", "choose a path on a local disk with state ="} {
			if !strings.Contains(said, words) {
				t.Errorf("%s: no %q in %q", part, words, said)
			}
		}
		if mustReadFile(t, path) != before {
			t.Errorf("%s: the file has changed", part)
		}
	}
}

func TestWhichFileSystemsAreRefused(t *testing.T) {
	for fsType, want := range map[uint32]string{
		unix.NFS_SUPER_MAGIC: "NFS", unix.SMB_SUPER_MAGIC: "SMB", 0xFF534D42: "SMB", 0xFE534D42: "SMB",
		0x5346414F: "AFS", 0x6B414653: "AFS", 0x73757245: "Coda", 0x01021997: "9P",
		unix.EXT4_SUPER_MAGIC: "", unix.XFS_SUPER_MAGIC: "", unix.BTRFS_SUPER_MAGIC: "", unix.TMPFS_MAGIC: "",
		unix.OVERLAYFS_SUPER_MAGIC: "", unix.FUSE_SUPER_MAGIC: "", 0x2FC12FC1: "", // ZFS
	} {
		if got := networkName(fsType); got != want {
			t.Errorf("%#x: %q, want %q", fsType, got, want)
		}
	}
	if err := checkPlace(t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := checkPlace(filepath.Join(t.TempDir(), "missing")); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// A process that was killed before the sync of its commit leaves intents that only the
// page cache has.
func TestIntentsAreSyncedBeforeTheyAreReturned(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	put := entries(0, 3)
	mustCommit(t, s.Maildrop("me@host"), Change{Put: put})
	mustClose(t, s)
	_, calls := strace(t, "intents", path, traced)
	if got := changes(events(calls, filepath.Dir(path))); len(got) > 0 {
		t.Errorf("no intent is open: %q", got)
	}

	s = mustOpen(t, path)
	put[1].Intent = &Intent{Kind: "maildir", Note: "x"}
	mustCommit(t, s.Maildrop("me@host"), Change{Put: put[1:2]})
	mustClose(t, s)
	_, calls = strace(t, "intents", path, traced)
	if got := changes(events(calls, filepath.Dir(path))); !slices.Equal(got, []string{"sync state.db"}) {
		t.Errorf("an intent is open: %q", got)
	}
}
