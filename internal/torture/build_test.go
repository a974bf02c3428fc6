//go:build linux

package torture

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// omission is a negative control: a build that leaves out one step of safety. old must be in
// file exactly once, and new replaces it.
type omission struct{ name, file, old, new string }

// Small groups sync file by file, large ones with one syncfs: see noSyncFS.
func noFileSync() omission {
	return omission{"no file sync", "deliver/maildir/prepare.go", "return s.file.Sync()", "return nil"}
}

func noSyncFS() omission {
	return omission{"no sync of the file system", "internal/durable/syncfs_linux.go",
		"return unix.Syncfs(d.fd())", "return nil"}
}

func noDirSync() omission {
	return omission{"no directory sync", "internal/durable/os.go",
		"func (d *osDir) Sync() error { return syncEntries(d.f) }", "func (d *osDir) Sync() error { return nil }"}
}

func noMboxSync() omission {
	return omission{"no sync of an mbox", "deliver/mbox/publish.go",
		"\tif err := file.Sync(); err != nil {", "\tif err := error(nil); err != nil {"}
}

// trustCut takes a message for delivered if popfetch was killed before the server had replied.
func trustCut() omission {
	return omission{"a message that was sent counts as delivered", "deliver/relay/relay.go",
		"return deliver.Again, nil", "return deliver.Published, nil"}
}

func recordAfterRename() omission {
	return omission{"record after rename", "fetch/settle/settling.go",
		"\tif err := s.intend(ready); err != nil {",
		"\tif err := s.publish(ctx, ready); err != nil {\n\t\treturn err\n\t}\n\treturn s.intend(ready)\n}\n\n" +
			"func (s *settling) replaced(ctx context.Context, ready []Member, prepareErr error) error {\n" +
			"\tif err := s.intend(ready); err != nil {"}
}

// product returns the path of the popfetch under test.
func product() string { return os.Getenv(underTest) }

// build builds popfetch with the step left out and returns the path of the binary.
func (o omission) build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "popfetch")
	must(t, goBuild(bin, "-overlay", o.overlay(t, dir)))
	return bin
}

// goBuild builds popfetch to bin.
func goBuild(bin string, more ...string) error {
	cmd := exec.Command("go", slices.Concat([]string{"build", "-ldflags=-s -w", "-o", bin}, more, []string{"popfetch"})...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// overlay writes the changed source into dir, and the file that puts it in the
// place of the real one for one build.
func (o omission) overlay(t *testing.T, dir string) string {
	t.Helper()
	source, err := filepath.Abs(filepath.Join("..", "..", o.file))
	must(t, err)
	text, err := os.ReadFile(source)
	must(t, err)
	if n := strings.Count(string(text), o.old); n != 1 {
		t.Fatalf("control %q: %s has %q %d times, want it once", o.name, o.file, o.old, n)
	}
	changed := filepath.Join(dir, filepath.Base(o.file))
	must(t, os.WriteFile(changed, []byte(strings.Replace(string(text), o.old, o.new, 1)), 0o600))
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	must(t, err)
	path := filepath.Join(dir, "overlay.json")
	must(t, os.WriteFile(path, list, 0o600))
	return path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// needs skips the test if a program is missing, and names its Debian package.
func needs(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed (Debian: apt-get install %s)", program, pkg)
	}
}

// needsStrace skips the test if strace is missing or not allowed to trace.
func needsStrace(t *testing.T) {
	t.Helper()
	needs(t, "strace", "strace")
	if out, err := exec.Command("strace", "-f", "-e", "trace=openat", "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %v\n%.300s", err, out)
	}
}

// full reports whether the suites have their full size.
func full() bool { return os.Getenv("POPFETCH_TORTURE") == "1" }

// size returns the number of points of a suite.
func size(sample, whole int) int {
	if full() {
		return whole
	}
	return sample
}

// printScore prints the line of a suite that contrib/torture.awk reads.
func printScore(suite string, s score, controls string) {
	fmt.Println("TORTURE", suite, fmt.Sprintf("points=%d lost=%d repeated=%d controls=%s", s.points, s.lost, s.repeated, controls))
}
