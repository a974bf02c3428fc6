package network

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// listen serves each connection to a loopback address with serve.
func listen(t *testing.T, address string, serve func(net.Conn)) *net.TCPAddr {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		l.Close()
		wait.Wait()
	})
	wait.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				context.AfterFunc(ctx, func() { conn.Close() })
				defer conn.Close()
				serve(conn)
			})
		}
	})
	return l.Addr().(*net.TCPAddr)
}

// greet is a server that says hello and repeats one line.
func greet(conn net.Conn) {
	fmt.Fprint(conn, "+OK hello\r\n")
	line, _ := bufio.NewReader(conn).ReadString('\n')
	fmt.Fprint(conn, line)
}

// talk fails unless the server greets and repeats a line.
func talk(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); line != "+OK hello\r\n" {
		t.Fatalf("greeting %q, %v", line, err)
	}
	fmt.Fprint(conn, "NOOP\r\n")
	if line, err := r.ReadString('\n'); line != "NOOP\r\n" {
		t.Fatalf("reply %q, %v", line, err)
	}
}

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// names answers every question of a resolver with the same addresses.
func names(t *testing.T, ips ...string) *net.Resolver {
	t.Helper()
	server := func(conn net.Conn) {
		defer conn.Close()
		buf := make([]byte, 1500)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil {
				return
			}
			m.Response, m.Additionals = true, nil
			for _, text := range ips {
				ip, q := netip.MustParseAddr(text), m.Questions[0]
				h := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}
				switch {
				case ip.Is4() && q.Type == dnsmessage.TypeA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: ip.As4()}})
				case ip.Is6() && q.Type == dnsmessage.TypeAAAA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}})
				}
			}
			out, err := m.Pack()
			if err != nil {
				return
			}
			conn.Write(out)
		}
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			here, there := net.Pipe()
			go server(there)
			here.Write(buf[:n])
			m, err := here.Read(buf)
			here.Close()
			if err == nil {
				pc.WriteTo(buf[:m], from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func TestUnixSocketIsDialled(t *testing.T) {
	t.Chdir(t.TempDir()) // its path may be too long for a socket
	const path = "s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			greet(conn)
			conn.Close()
		}
	}()
	var route Route
	conn, err := (&Way{Connected: func(r Route) { route = r }, Proxy: parse(t, "socks5://127.0.0.1:1")}).Dial(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	talk(t, conn)
	if route.Peer != path || route.Via != "" {
		t.Errorf("route %+v", route)
	}
}

func TestRefusedAddressesLeadToTheNext(t *testing.T) {
	server := listen(t, "127.0.0.2:0", greet)
	var route Route
	w := &Way{Resolver: names(t, "127.0.0.1", "127.0.0.2"), Connected: func(r Route) { route = r }}
	conn, err := w.Dial(t.Context(), "tcp", fmt.Sprintf("mail.test:%d", server.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	talk(t, conn)
	if route.Peer != server.String() {
		t.Errorf("route %+v", route)
	}
	for _, a := range route.Failed {
		if !errors.Is(a.Err, syscall.ECONNREFUSED) {
			t.Errorf("failed: %v", a)
		}
	}
}

// silentAddress makes an address silent: a socket whose queue is full answers no further connection, like a host behind a
// firewall that drops packets.
func silentAddress(t *testing.T, ip [4]byte, port int) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: ip, Port: port}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		d := net.Dialer{Timeout: 100 * time.Millisecond}
		if conn, err := d.Dial("tcp", netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(port)).String()); err == nil {
			t.Cleanup(func() { conn.Close() })
		}
	}
}

func TestSilentAddressDoesNotHoldUpTheNext(t *testing.T) {
	server := listen(t, "127.0.0.3:0", greet)
	silentAddress(t, [4]byte{127, 0, 0, 2}, server.Port)
	var route Route
	w := &Way{Resolver: names(t, "127.0.0.2", "127.0.0.3"), Connected: func(r Route) { route = r }}
	began := time.Now()
	conn, err := w.Dial(t.Context(), "tcp", fmt.Sprintf("mail.test:%d", server.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	talk(t, conn)
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("it took %v", d)
	}
	if route.Peer != server.String() {
		t.Errorf("route %+v", route)
	}
}

func TestEveryAddressIsNamedWhenNoneAnswers(t *testing.T) {
	port := listen(t, "127.0.0.4:0", greet).Port
	silentAddress(t, [4]byte{127, 0, 0, 2}, port)
	w := &Way{Resolver: names(t, "127.0.0.2", "127.0.0.3", "::1")}
	// One of them is silent, which costs the whole time; a slow machine gets to the others later.
	var err error
	for limit := 3 * time.Second; limit < time.Minute; limit *= 4 {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		_, err = w.Dial(ctx, "tcp", fmt.Sprintf("mail.test:%d", port))
		cancel()
		if err == nil {
			t.Fatal("connected")
		}
		if strings.Count(err.Error(), fmt.Sprint(port)) == 3 {
			break
		}
	}
	for _, want := range []string{fmt.Sprintf("127.0.0.2:%d: no answer", port), fmt.Sprintf("127.0.0.3:%d: connection refused", port), fmt.Sprintf("[::1]:%d: ", port)} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}

func TestSourceAddressTakesItsFamilyAlone(t *testing.T) {
	from := make(chan string, 1)
	server := listen(t, "127.0.0.1:0", func(conn net.Conn) {
		from <- conn.RemoteAddr().(*net.TCPAddr).IP.String()
		greet(conn)
	})
	address := fmt.Sprintf("mail.test:%d", server.Port)
	w := &Way{Source: netip.MustParseAddr("127.0.0.9"), Resolver: names(t, "::1", "127.0.0.1")}
	conn, err := w.Dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	talk(t, conn)
	if ip := <-from; ip != "127.0.0.9" {
		t.Errorf("connected from %s", ip)
	}
	w.Resolver = names(t, "::1")
	var known *Error
	if _, err := w.Dial(t.Context(), "tcp", address); !errors.As(err, &known) || !known.Lasting || known.Hint == "" {
		t.Errorf("got %v", err)
	}
	w.Source = netip.MustParseAddr("192.0.2.1")
	w.Resolver = names(t, "127.0.0.1")
	if _, err := w.Dial(t.Context(), "tcp", address); err == nil || !strings.Contains(err.Error(), "source_address: ") {
		t.Errorf("got %v", err)
	}
}

// alive reports whether a process group has members.
func alive(group int) bool { return syscall.Kill(-group, 0) == nil }

func TestTunnelIsTheConnection(t *testing.T) {
	w := &Way{Tunnel: []string{"sh", "-c", `printf '+OK hello\r\n'; exec cat`}}
	conn, err := w.Dial(t.Context(), "tcp", "nowhere.invalid:110")
	if err != nil {
		t.Fatal(err)
	}
	talk(t, conn)
	conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read past its deadline: %v", err)
	}
	pid := conn.(*tunnel).cmd.Process.Pid
	conn.Close()
	conn.Close()
	if alive(pid) {
		t.Error("the program still runs")
	}
}

func TestTunnelThatIgnoresItsEndIsKilledWithItsChildren(t *testing.T) {
	w := &Way{Tunnel: []string{"sh", "-c", `trap '' TERM; printf x; sh -c "trap '' TERM; while :; do sleep 1; done" & while :; do sleep 1; done`}}
	conn, err := w.Dial(t.Context(), "tcp", "x:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	pid := conn.(*tunnel).cmd.Process.Pid
	conn.Close()
	for began := time.Now(); alive(pid); time.Sleep(time.Millisecond) { // until init has reaped the child
		if time.Since(began) > 30*time.Second {
			t.Fatal("a child still runs")
		}
	}
}

func TestTunnelThatEndsTellsItsStatusAndItsLastWords(t *testing.T) {
	var log strings.Builder
	w := &Way{
		Tunnel: []string{"sh", "-c", `echo first >&2; printf 'Connection refused' >&2; exit 255`},
		Log:    slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	conn, err := w.Dial(t.Context(), "tcp", "x:1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = conn.Read(make([]byte, 1))
	const want = `tunnel "sh": ended with exit status 255: "first\nConnection refused"`
	if err == nil || err.Error() != want || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read: %v, want %s", err, want)
	}
	if _, err := conn.Write([]byte("x")); err == nil || err.Error() != want {
		t.Errorf("write: %v", err)
	}
	if !strings.Contains(log.String(), "Connection refused") || !strings.Contains(log.String(), "first") {
		t.Errorf("log %q", log.String())
	}
}

func TestTunnelProgramThatCannotRunIsALastingError(t *testing.T) {
	plain := t.TempDir() + "/plain"
	if err := os.WriteFile(plain, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"popfetch-no-such-program", "/no/such/program", plain} {
		_, err := (&Way{Tunnel: []string{program}}).Dial(t.Context(), "tcp", "x:1")
		var known *Error
		if !errors.As(err, &known) || !known.Lasting || known.Hint == "" {
			t.Errorf("%s: %v", program, err)
		}
	}
}
