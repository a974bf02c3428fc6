package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"popfetch/fetch/pop3/pop3test"
)

// TestMain plays popfetch if the test binary runs under that name. The rest of the name
// says how well.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "--config" {
		if err := standIn(filepath.Base(os.Args[0]), os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(75)
		}
		return
	}
	os.Exit(m.Run())
}

// standIn lists or fetches as well or badly as the name says.
func standIn(name, config, command string) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	value := func(key string) string {
		return string(regexp.MustCompile(`(?m)^` + key + ` = "(.*)"$`).FindSubmatch(text)[1])
	}
	seen := value("state")
	if _, err := os.Stat(seen); err == nil && name != "forgetful" {
		return nil
	}
	ca, err := os.ReadFile(value("tls_ca_file"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	raw, err := tls.Dial("tcp", value("server"), &tls.Config{RootCAs: pool})
	if err != nil {
		return err
	}
	conn := textproto.NewConn(raw)
	defer conn.Close()
	conn.PrintfLine("USER %s\r\nPASS %s\r\nUIDL", value("user"), value("password"))
	for range 4 { // the greeting too
		if _, err := conn.ReadLine(); err != nil {
			return err
		}
	}
	ids, err := conn.ReadDotLines()
	if err != nil {
		return err
	}
	if command == "list" {
		fmt.Println(strings.Join(ids, "\n"))
		return nil
	}
	for i := range ids {
		if i == 0 && name == "lossy" {
			continue
		}
		body, err := retrieve(conn.R, conn, i+1)
		if err != nil {
			return err
		}
		body = strings.ReplaceAll(body, "\r\n", "\n")
		if name == "careless" {
			body = strings.ReplaceAll(body, "\n.", "\n")
		}
		if err := store(value("maildir"), fmt.Sprint(i), "Received: from there\n\tby here\n"+body); err != nil {
			return err
		}
		if name == "greedy" {
			conn.PrintfLine("DELE %d", i+1)
			conn.ReadLine()
		}
	}
	if name == "chatty" {
		fmt.Println(value("password"))
	}
	conn.PrintfLine("QUIT")
	conn.ReadLine()
	return os.WriteFile(seen, nil, 0o600)
}

func retrieve(r *bufio.Reader, conn *textproto.Conn, num int) (string, error) {
	conn.PrintfLine("RETR %d", num)
	if _, err := conn.ReadLine(); err != nil {
		return "", err
	}
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line == ".\r\n" {
			return b.String(), nil
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

func store(maildir, name, text string) error {
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(maildir, sub), 0o700); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(maildir, "new", name), []byte(text), 0o600)
}

func TestDemo(t *testing.T) {
	tests := []struct{ name, want string }{
		{"good", ""},
		{"forgetful", "the second poll has retrieved 6 messages again"},
		{"lossy", "1 messages did not arrive, one of them is 5eed0000"},
		{"careless", "is not what the server holds"},
		{"greedy", "0 of 6 messages are left"},
		{"chatty", "printed the password"},
		{"missing", "no such file"},
	}
	t.Setenv("GORACE", "atexit_sleep_ms=0") // or each stand-in waits a second at its end
	all := mailbox()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			program := filepath.Join(t.TempDir(), tt.name)
			if tt.name != "missing" {
				if err := os.Symlink(self, program); err != nil {
					t.Fatal(err)
				}
			}
			mail := all
			if tt.name != "good" {
				mail = all[:6] // the small ones show it as well
			}
			var out bytes.Buffer
			err := run(context.Background(), &out, program, mail)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("%v\n%s", err, &out)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if tt.want == "" {
				t.Logf("%s", &out)
			}
			if tt.name != "chatty" && strings.Contains(out.String(), password) {
				t.Error("the password is shown")
			}
			if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
				t.Errorf("%s was left behind", left[0].Name())
			}
		})
	}
}

func TestMailboxIsTheSame(t *testing.T) {
	a, b := mailbox(), mailbox()
	if len(a) != 12 {
		t.Errorf("%d messages", len(a))
	}
	for i := range a {
		if a[i].UID != b[i].UID || !bytes.Equal(a[i].Raw, b[i].Raw) {
			t.Errorf("message %d differs", i)
		}
	}
}

func TestCompare(t *testing.T) {
	messages := []pop3test.Message{{UID: "a", Raw: []byte("A: b\r\n\r\nc\r\n")}, {UID: "e"}}
	good := []file{{"1", []byte("Received: x\n y\n\tz\nA: b\n\nc\n")}, {"2", []byte("Received: x\n")}}
	if err := compare(good, messages); err != nil {
		t.Error(err)
	}
	for name, files := range map[string][]file{
		"one missing": good[:1],
		"one twice":   {good[0], good[0], good[1]},
		"no Received": {{"1", []byte("A: b\n\nc\n")}, good[1]},
		"CRLF":        {{"1", []byte("Received: x\nA: b\r\n\r\nc\r\n")}, good[1]},
	} {
		if err := compare(files, messages); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
