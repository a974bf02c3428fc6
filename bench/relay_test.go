//go:build linux

package main

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestRelayKeepsOrderAndContent(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer server.Close()
	go func() {
		c, err := server.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "hello\n")
		io.Copy(c, c) // until the client ends its direction
		io.WriteString(c, "bye\n")
	}()
	r, err := startRelay(server.Addr().String(), 2*time.Millisecond)
	must(t, err)
	defer r.close()

	c, err := net.Dial("tcp", r.addr())
	must(t, err)
	defer c.Close()
	sent := make([]byte, 5<<20)
	for i := range sent {
		sent[i] = byte(i ^ i>>8 ^ i>>16)
	}
	go func() {
		c.Write(sent)
		c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	must(t, err)
	if want := "hello\n" + string(sent) + "bye\n"; string(got) != want {
		t.Errorf("%d octets have come, want %d; or not the same", len(got), len(want))
	}
}

// TestRelayEndsWithItsConnections: close returns although both sides still wait.
func TestRelayEndsWithItsConnections(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer server.Close()
	r, err := startRelay(server.Addr().String(), 0)
	must(t, err)
	c, err := net.Dial("tcp", r.addr())
	must(t, err)
	defer c.Close()
	far, err := server.Accept()
	must(t, err)
	defer far.Close()
	r.close()
	for _, end := range []net.Conn{c, far} {
		if n, err := end.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("a connection of a closed relay gives %d octets, %v", n, err)
		}
	}
}

func TestRelayWithoutServer(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server.Close()
	r, err := startRelay(server.Addr().String(), 0)
	must(t, err)
	defer r.close()
	c, err := net.Dial("tcp", r.addr())
	must(t, err)
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the relay of a server that is not there gives %d octets, %v", n, err)
	}
}

// TestChunksComeWhenTheyAreDue has the clock of a bubble, so the times are exact.
func TestChunksComeWhenTheyAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, in := net.Pipe()
		out, far := net.Pipe()
		queue := make(chan chunk, relayQueue)
		var pumps sync.WaitGroup
		pumps.Go(func() { pull(in, queue, 50*time.Millisecond) })
		pumps.Go(func() { push(out, queue) })
		begin := time.Now()
		go func() {
			for _, text := range []string{"one", "two"} {
				near.Write([]byte(text))
				time.Sleep(10 * time.Millisecond)
			}
		}()
		for i, want := range []string{"one", "two"} {
			got := make([]byte, 3)
			_, err := io.ReadFull(far, got)
			must(t, err)
			after, due := time.Since(begin), time.Duration(50+10*i)*time.Millisecond
			if !bytes.Equal(got, []byte(want)) || after != due {
				t.Errorf("%q comes after %v, want %q after %v", got, after, want, due)
			}
		}
		far.Close()
		near.Write([]byte("nobody reads this"))
		near.Close()
		pumps.Wait()
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
