//go:build linux

package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func played() report {
	synced := 1100
	return report{[]string{"Date: today", "AMD & more"}, []result{
		{"fresh 1,000, RTT 100 ms", 1000, []*entry{
			{Name: "drain", Seconds: []float64{1, 1.1, 0.9}, RSS: 8192},
			{Name: "popfetch", Seconds: []float64{2, 2.5, 2.4}, RSS: 15 << 10, RoundTrips: 6, Syncs: &synced},
			{Name: "mpop", Seconds: []float64{4.8, 12.5, 4.7}},
			{Name: "fetchmail", Seconds: []float64{60}, Once: true},
			{Name: "disk", Seconds: []float64{2, 3}},
		}},
		{"nothing <new> & so on", 0, []*entry{
			{Name: "drain", Seconds: []float64{0.01}},
			{Name: "popfetch", Failed: "exit code 75\nand more"},
			{Name: "mpop", Over: 10},
		}},
		{"all peers missing", 5, []*entry{
			{Name: "drain", Seconds: []float64{0.5}},
			{Name: "popfetch", Seconds: []float64{0.5}},
		}},
	}}
}

func TestSummaryShowsMediansRatiosAndWhatFailed(t *testing.T) {
	var got markdown
	played().summary(&got)
	for _, want := range []string{
		"| fresh 1,000, RTT 100 ms | 2.500 (disk) | 2.400 | 2.000 - 2.500 | 4.800 (mpop) | 0.96 | 2.00 | 15.0 | 1.10 | 6 | no: popfetch / drain ≤ 1.2: 2.40 |\n",
		"| nothing <new> & so on | 0.010 (drain) | failed | - | - | - | - | - | - | - | - |\n",
		"| all peers missing | 0.500 (drain) | 0.500 | 0.500 - 0.500 | - | 1.00 | - | - | - | - | - |\n",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%s\ndoes not contain\n%s", &got, want)
		}
	}
}

func TestRowOfAContenderThatIsSlowOrCutOff(t *testing.T) {
	r := played().Results
	for _, x := range []struct {
		e    *entry
		want []string
	}{
		{r[0].Entries[1], []string{"s", "popfetch", "3", "2.400", "2.000", "2.500", "15.0", "6"}},
		{r[0].Entries[2], []string{"s", "mpop", "3", "4.800", "4.700", "12.5", "-", "-"}},
		{r[0].Entries[3], []string{"s", "fetchmail", "once", "60.0", "60.0", "60.0", "-", "-"}},
		{r[1].Entries[2], []string{"s", "mpop", "0", "over 10", "-", "-", "-", "-"}},
	} {
		if got := x.e.row("s"); !slices.Equal(got, x.want) {
			t.Errorf("got  %q\nwant %q", got, x.want)
		}
	}
}

// Each row of a table has as many cells as its head.
func TestTableIsRectangular(t *testing.T) {
	table := played().table()
	cells, rows := 0, 0
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			cells = 0
			continue
		}
		rows++
		if n := strings.Count(line, "|"); cells == 0 {
			cells = n
		} else if n != cells {
			t.Errorf("%d bars instead of %d in %s", n, cells, line)
		}
	}
	if want := 2 + 3 + 2 + 3 + 2 + 10; rows != want {
		t.Errorf("%d rows, want %d", rows, want)
	}
	for _, want := range []string{"- Date: today\n", `popfetch failed in "nothing <new> & so on": exit code 75` + "\n"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table does not say %q", want)
		}
	}
}

func TestReportIsRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	must(t, played().save(file))
	got, err := readReport(file)
	must(t, err)
	if !reflect.DeepEqual(got, played()) {
		t.Errorf("read as %+v", got)
	}
	if _, err := readReport(file + "x"); err == nil {
		t.Error("a report that is not there was read")
	}
}

func TestReadmeKeepsWhatIsAround(t *testing.T) {
	page := "before\n" + summaryBegin + "old\n" + summaryEnd + "after\n"
	got, err := played().into(page)
	must(t, err)
	again, err := played().into(got)
	must(t, err)
	if again != got || !strings.HasPrefix(got, "before\n"+summaryBegin) || !strings.HasSuffix(got, summaryEnd+"after\n") ||
		strings.Contains(got, "old") || !strings.Contains(got, "| fresh 1,000, RTT 100 ms | 2.500 (disk) | 2.400 | 4.800 (mpop) | 0.96 | 2.00 |\n") {
		t.Errorf("%s", got)
	}
	for _, page := range []string{"", summaryEnd + summaryBegin, summaryBegin} {
		if _, err := played().into(page); err == nil {
			t.Errorf("%q was taken", page)
		}
	}
}

// README.md and the table show the figures beside them.
func TestPagesShowTheFiguresOfTheReport(t *testing.T) {
	r, err := readReport("report.json")
	must(t, err)
	readme, err := os.ReadFile("../README.md")
	must(t, err)
	updated, err := r.into(string(readme))
	must(t, err)
	if updated != string(readme) {
		t.Error("README.md has another summary: go run ./bench -readme README.md")
	}
	table, err := os.ReadFile("table.md")
	must(t, err)
	if string(table) != r.table() {
		t.Error("table.md is not what report.json gives")
	}
}

func TestNeedThatIsMissedIsNamed(t *testing.T) {
	r := played().Results[0]
	for _, x := range []struct {
		n    need
		want verdict
	}{
		{atMost(1).ofFloor(), verdict{"popfetch / slower floor ≤ 1", "0.96", "yes"}},
		{atMost(1.2).ofDrain(), verdict{"popfetch / drain ≤ 1.2", "2.40", "no"}},
		{atLeast(2).ofBestPeer(), verdict{"best peer / popfetch ≥ 2", "2.00", "yes"}},
		{atLeast(2.1).ofPeer("mpop"), verdict{"mpop / popfetch ≥ 2.1", "2.00", "no"}},
		{atLeast(1).ofPeer("fdm"), verdict{"fdm / popfetch ≥ 1", "-", "not measured"}},
		{syncs(1.15), verdict{"syncs per message ≤ 1.15", "1.10", "yes"}},
		{syncs(0), verdict{"no syncs", "1.10", "no"}},
		{memory(15), verdict{"peak RSS ≤ 15 MiB", "15.0", "yes"}},
		{roundTrips(6), verdict{"round trips ≤ 6", "6", "yes"}},
		{roundTrips(5), verdict{"round trips ≤ 5", "6", "no"}},
		{memory(14), verdict{"peak RSS ≤ 14 MiB", "15.0", "no"}},
	} {
		if got := r.judge([]need{x.n}); len(got) != 1 || got[0] != x.want {
			t.Errorf("%+v, want %+v", got, x.want)
		}
	}
	for _, s := range append(fullScenarios(), quickScenarios()...) {
		if len(s.needs) == 0 || len(needsOf(s.name)) != len(s.needs) {
			t.Errorf("%s needs %d things, %d by its name", s.name, len(s.needs), len(needsOf(s.name)))
		}
	}
}

func TestSyncsInATableOfStrace(t *testing.T) {
	const table = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 98.72    3.010000         602      5000           fsync
  1.28    0.039000         390       100         2 fdatasync
------ ----------- ----------- --------- --------- ----------------
100.00    3.049000         597      5100         2 total
`
	for text, want := range map[string]int{table: 5100, "": 0} {
		if n, err := sumCalls([]byte(text)); n != want || err != nil {
			t.Errorf("%d syncs, %v, want %d", n, err, want)
		}
	}
}
