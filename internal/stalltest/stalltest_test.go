package stalltest

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// connect returns the two ends of a connection.
func connect(t *testing.T, s *Stall) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = s.Dial(t.Context(), "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

func TestTimeLimitDoesNotCountBeforeTheStall(t *testing.T) {
	var s Stall
	client, server := connect(t, &s)
	time.AfterFunc(50*time.Millisecond, func() { server.Write([]byte("x")) })
	client.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := client.Read(make([]byte, 1)); err != nil {
		t.Errorf("a read whose limit has passed: %v", err)
	}
}

func TestTimeLimitCountsFromTheStall(t *testing.T) {
	var s Stall
	client, _ := connect(t, &s)
	ended := make(chan error)
	client.SetReadDeadline(time.Now().Add(time.Millisecond))
	go func() {
		_, err := client.Read(make([]byte, 1))
		ended <- err
	}()
	s.Begin()
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the read that waited: %v", err)
	}
	client.SetDeadline(time.Now().Add(time.Millisecond))
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a later read: %v", err)
	}
}

func TestInterruptionIsNotPutOff(t *testing.T) {
	var s Stall
	client, _ := connect(t, &s)
	client.SetDeadline(time.Unix(1, 0))
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
