package pop3test_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
)

func TestSessionInMemory(t *testing.T) {
	drop := pop3test.NewMaildrop(pop3test.Message{UID: "a", Raw: pop3test.Text("Subject: a\n\na\n")})
	server := &pop3test.Server{Security: pop3test.ClearText, Users: map[string]*pop3test.User{"alice": {Password: "secret", Maildrop: drop}}}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	conn, err := server.Dial()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "USER alice\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n")
	r, replies := bufio.NewScanner(conn), 0
	for r.Scan() {
		replies++
	}
	if replies != 5 || r.Err() != nil {
		t.Errorf("%d replies and the error %v, want 5 and none", replies, r.Err())
	}
	conn.Close()
	server.Wait()
	if drop.Deleted("a") != 1 {
		t.Error("QUIT did not delete")
	}
}

func TestReadInMemoryEndsAtItsDeadline(t *testing.T) {
	server := &pop3test.Server{Security: pop3test.ClearText}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	conn, err := server.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := io.Copy(io.Discard, conn); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v, want %v", err, os.ErrDeadlineExceeded)
	}
}
