package simulate

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// wrongChange is a negative control: a popfetch that lacks one rule. old must be in the file
// exactly once, and new replaces it.
type wrongChange struct{ file, old, new string }

// sample is the wrong change that is tried in each test.
const sample = "DELE on the word of an id"

var wrongChanges = map[string]wrongChange{
	"DELE on the word of an id": {"fetch/plan/suspicion.go",
		"\ts := d.suspicionOf(i, was, isDue)\n",
		"\tif due(was, d.policy, d.when) && !was.Deleted {\n\t\td.give(i, Due, *r)\n\t\treturn\n\t}\n\ts := d.suspicionOf(i, was, isDue)\n"},
	"size alone makes another message": {"fetch/plan/suspicion.go",
		"\ts := d.suspicionOf(i, was, isDue)\n",
		"\tif d.otherSize(i, was) {\n\t\td.unknown(i)\n\t\treturn\n\t}\n\ts := d.suspicionOf(i, was, isDue)\n"},
	"ids are forgotten at once": {"fetch/plan/absence.go",
		"forgetAfter    = 30 * 24 * time.Hour", "forgetAfter    = time.Second"},
	"header blocks alone tell machine mail apart": {"fetch/plan/unclaimed.go",
		"\t\treturn r.Body == m.Body\n", "\t\treturn true\n"},
	"header blocks alone tell a message from a deleted one": {"fetch/plan/unclaimed.go",
		"\treturn m.hasBodyOf(&r) || own && !r.Deleted && !r.Moved\n", "\treturn true\n"},
	"a record stays under two ids": {"fetch/settle/ledger.go",
		"return forgotten[e.ID]", "return false"},
	"any change of the clock ages messages": {"fetch/plan/observe.go",
		"f.Observed+min(max(gap, 0), most)", "f.Observed+min(max(gap, 0), 1000*most)"},
}

// testControls wants the sample of years to fail with each wrong change. It returns how many
// of them it tried: one, or all of them in full.
func testControls(t *testing.T) (ran int) {
	for name, c := range wrongChanges {
		if os.Getenv(torture) != "1" && name != sample {
			continue
		}
		t.Run(name, func(t *testing.T) {
			ran++
			cmd := exec.Command("go", "test", "-count=1", "-failfast", "-overlay", c.overlay(t), "-run", "^TestYear$", ".")
			cmd.Env = append(os.Environ(), torture+"="+inControl)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "seed ") {
				t.Errorf("not noticed: %v\n%.2000s", err, out)
			}
		})
	}
	return ran
}

// overlay returns the path of the file that puts the changed source in the place of the real
// one for one build.
func (c wrongChange) overlay(t *testing.T) string {
	t.Helper()
	source, err := filepath.Abs(filepath.Join("..", "..", c.file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), c.old); n != 1 {
		t.Fatalf("%s has %q %d times, want it once", c.file, c.old, n)
	}
	dir := t.TempDir()
	changed, path := filepath.Join(dir, filepath.Base(c.file)), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, octets := range map[string][]byte{changed: []byte(strings.Replace(string(text), c.old, c.new, 1)), path: list} {
		if err := os.WriteFile(name, octets, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}
