package metrics

import (
	"bytes"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/internal/status"
)

// two is an account that works and one that was never polled.
func two() Now {
	at := time.Unix(1_800_000_000, 0)
	return Now{Polling: 1, Queued: 2, Accounts: []status.Poll{
		{
			Account: "work", Time: at.Add(time.Hour), Success: at, NewMail: at, Expires: at.Add(24 * time.Hour), Waiting: 3, SetAside: 2,
			Totals: status.Totals{Polls: 7, Seconds: 3.5, Delivered: 11, Octets: 4096, Deleted: 5, Failures: map[string]int{"auth": 1, "temporary": 2}},
		},
		{Account: "new"},
	}}
}

const expected = `popfetch_build_info{goversion="go",version="1.2"} 1
popfetch_certificate_expiry_timestamp_seconds{account="work"} 1.8000864e+09
popfetch_last_new_mail_timestamp_seconds{account="new"} 0
popfetch_last_new_mail_timestamp_seconds{account="work"} 1.8e+09
popfetch_last_poll_timestamp_seconds{account="new"} 0
popfetch_last_poll_timestamp_seconds{account="work"} 1.8000036e+09
popfetch_last_success_timestamp_seconds{account="new"} 0
popfetch_last_success_timestamp_seconds{account="work"} 1.8e+09
popfetch_messages_deleted_total{account="new"} 0
popfetch_messages_deleted_total{account="work"} 5
popfetch_messages_delivered_total{account="new"} 0
popfetch_messages_delivered_total{account="work"} 11
popfetch_messages_set_aside{account="new"} 0
popfetch_messages_set_aside{account="work"} 2
popfetch_messages_waiting{account="new"} 0
popfetch_messages_waiting{account="work"} 3
popfetch_poll_duration_seconds_sum{account="new"} 0
popfetch_poll_duration_seconds_count{account="new"} 0
popfetch_poll_duration_seconds_sum{account="work"} 3.5
popfetch_poll_duration_seconds_count{account="work"} 7
popfetch_poll_failures_total{account="work",class="auth"} 1
popfetch_poll_failures_total{account="work",class="temporary"} 2
popfetch_polls_in_progress 1
popfetch_polls_queued 2
popfetch_received_bytes_total{account="new"} 0
popfetch_received_bytes_total{account="work"} 4096
`

// samples returns the lines of an exposition that are no comments, with the version of Go
// taken out.
func samples(text string) string {
	text = regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(text, "")
	return regexp.MustCompile(`goversion="[^"]*"`).ReplaceAllString(text, `goversion="go"`)
}

func TestFileHasEverySeriesAndEverybodyMayReadIt(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "popfetch.prom")
	m := New("1.2", two)
	for range 2 { // the second time it is replaced
		if err := m.WriteFile(path); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := samples(string(text)); got != expected {
		t.Errorf("got\n%s\nwant\n%s", got, expected)
	}
	for _, name := range Names() {
		if !strings.Contains(string(text), "\n# TYPE "+name+" ") && !strings.HasPrefix(string(text), "# HELP "+name+" ") {
			t.Errorf("%s is missing", name)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%v is left in the directory", left)
	}
}

// The series of the process are served only: in the file they would be taken for those of
// node_exporter.
func TestServedMetricsHaveTheProcessToo(t *testing.T) {
	w := httptest.NewRecorder()
	New("1.2", two).Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text, _ := io.ReadAll(w.Body)
	if w.Code != 200 || !strings.Contains(string(text), "\nprocess_resident_memory_bytes ") {
		t.Errorf("%d:\n%s", w.Code, text)
	}
	for line := range strings.Lines(expected) {
		if !strings.Contains(samples(string(text)), line) {
			t.Errorf("%s is missing", line)
		}
	}
}

// contrib is where the rules and the dashboard are.
const contrib = "../../contrib/prometheus"

// What the rules and the dashboard ask for has to be there: Prometheus says nothing of a
// name that does not exist.
func TestRulesDashboardAndManualNameMetricsThatExist(t *testing.T) {
	names := append(Names(), "popfetch_poll_duration_seconds_sum", "popfetch_poll_duration_seconds_count")
	manual, err := os.ReadFile("../../man/popfetch.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Names() {
		if !strings.Contains(string(manual), name) {
			t.Errorf("popfetch(1) does not name %s", name)
		}
	}
	for _, file := range []string{"alerts.yml", "alerts_test.yml", "dashboard.json", "scrape.yml"} {
		text, err := os.ReadFile(filepath.Join(contrib, file))
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`\bpopfetch_[a-z_]+`).FindAllString(string(text), -1)
		for _, name := range found {
			if !slices.Contains(names, name) {
				t.Errorf("%s names %s, which does not exist", file, name)
			}
		}
		if len(found) == 0 && file != "scrape.yml" {
			t.Errorf("%s names no metric", file)
		}
	}
}

// promtool comes with Prometheus.
func TestPromtoolAcceptsMetricsAndRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	path := filepath.Join(t.TempDir(), "popfetch.prom")
	if err := New("1.2", two).WriteFile(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check", "metrics"},
		{"check", "rules", filepath.Join(contrib, "alerts.yml")},
		{"test", "rules", filepath.Join(contrib, "alerts_test.yml")},
	} {
		cmd := exec.Command(promtool, args...)
		cmd.Stdin = bytes.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || args[1] == "metrics" && len(out) > 0 {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
}
