//go:build linux

package cli_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
)

// has fails the test unless each of the patterns matches a line of the metrics.
func has(t *testing.T, text string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(`(?m)^` + p + `$`).MatchString(text) {
			t.Errorf("no %s in\n%s", p, text)
		}
	}
}

// Under cron each run is a new process. A counter that began anew in each would never grow.
func TestMetricsFileCountsOnAcrossRunsOfCron(t *testing.T) {
	t.Parallel()
	s := clearServer(t, small(2)...)
	r := newUserHome(t, "metrics_file = \"~/popfetch.prom\"\n"+account("work", s, "")+"[account.other]\nserver = \"127.0.0.1:1\"\nuser = \"x\"\npassword = \"x\"\ntls = \"none\"\nmaildir = \"~/Mail/other\"\n")
	read := func() string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(r.dir, "popfetch.prom"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	r.exits(0, "exec popfetch --once work")
	has(t, read(), `popfetch_messages_delivered_total\{account="work"\} 2`, `popfetch_poll_duration_seconds_count\{account="work"\} 1`,
		`popfetch_last_success_timestamp_seconds\{account="other"\} 0`, `popfetch_last_poll_timestamp_seconds\{account="work"\} 1\.[0-9]+e\+09`)
	s.Wait()
	s.SetFaults(pop3test.Fault{At: "greeting", Do: pop3test.Drop})
	r.exits(75, "exec popfetch --once work")
	s.SetFaults()
	s.Users["alice"].Maildrop.Add(pop3test.Message{UID: "new", Raw: pop3test.Text("Subject: new\n\nHello.\n")})
	r.exits(0, "exec popfetch --once work")
	has(t, read(), `popfetch_messages_delivered_total\{account="work"\} 3`, `popfetch_poll_duration_seconds_count\{account="work"\} 3`,
		`popfetch_poll_failures_total\{account="work",class="temporary"\} 1`, `popfetch_messages_waiting\{account="work"\} 0`)
}

// Mail is fetched whether anybody measures that or not.
func TestMetricsFileThatCannotBeWrittenIsSaidAndChangesNoExitCode(t *testing.T) {
	t.Parallel()
	s := clearServer(t, small(1)...)
	r := newUserHome(t, "metrics_file = \"~/nowhere/popfetch.prom\"\n"+account("work", s, ""))
	e := r.exits(0, "exec popfetch --once")
	if want := "popfetch: metrics_file: " + r.dir + "/nowhere/popfetch.prom: no such file or directory; popfetch goes on without, and tries again\n"; e.stderr != want {
		t.Errorf("it says %q, want %q", e.stderr, want)
	}
	if n := r.mail("work", "new"); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// scrape gets the metrics through dial.
func scrape(t *testing.T, network, address string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
	response, err := client.Get("http://localhost/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%s, %v", response.Status, err)
	}
	return string(text)
}

// says waits until a program in the background has said something.
func (o *output) says(t *testing.T, pattern string) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		text, more := o.read()
		if regexp.MustCompile(pattern).Match(text) {
			return
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("it does not say %q but\n%s", pattern, text)
		}
	}
}

// background starts popfetch, which the test ends, and returns what it says.
func (r *userHome) background(shell string) (*exec.Cmd, *output) {
	r.t.Helper()
	cmd, said := r.command(shell), new(output)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, said
}

// end stops a program in the background, and fails the test unless all is well.
func end(t *testing.T, cmd *exec.Cmd, said *output) {
	t.Helper()
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		text, _ := said.read()
		t.Errorf("%v; it says\n%s", err, text)
	}
}

func TestDaemonServesMetrics(t *testing.T) {
	t.Parallel()
	s := clearServer(t, small(2)...)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := taken.Addr().String()
	configuration := func(listen string) string {
		return fmt.Sprintf("interval = \"1h\"\nmetrics_listen = %q\nmetrics_file = \"~/popfetch.prom\"\n", listen) + account("work", s, "")
	}
	r := newUserHome(t, configuration(at))
	cmd, said := r.background("exec popfetch")

	// The port is taken: mail is fetched all the same, and a reload tries again.
	said.says(t, `metrics_listen: `+regexp.QuoteMeta(at)+`: address already in use; popfetch goes on without, and tries again\n`)
	said.says(t, `work: 2 delivered`)
	taken.Close()
	cmd.Process.Signal(syscall.SIGHUP)
	said.says(t, `metrics_listen works again\n`)
	has(t, scrape(t, "tcp", at), `popfetch_messages_delivered_total\{account="work"\} 2`, `popfetch_polls_in_progress 0`, `process_open_fds [0-9]+`)

	// A file in the place of the socket stays.
	path := filepath.Join(r.dir, "metrics")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.configure(configuration("unix:~/metrics"))
	cmd.Process.Signal(syscall.SIGHUP)
	said.says(t, `metrics_listen: .*/metrics is not a socket; move it away; popfetch goes on without`)
	if c, err := net.Dial("tcp", at); err == nil {
		c.Close()
		t.Error("the old address is still served")
	}

	// A socket that a killed popfetch has left is replaced.
	os.Remove(path)
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	cmd.Process.Signal(syscall.SIGHUP)
	said.says(t, `(?s)works again\n.*works again\n`)
	has(t, scrape(t, "unix", path), `popfetch_messages_delivered_total\{account="work"\} 2`)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info, err)
	}

	end(t, cmd, said)
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket stays: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "popfetch.prom"))
	if err != nil {
		t.Fatal(err)
	}
	has(t, string(text), `popfetch_messages_delivered_total\{account="work"\} 2`)
	if strings.Contains(string(text), "process_") {
		t.Errorf("the file has the series of node_exporter:\n%s", text)
	}
}
