package network

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// splice copies both ways between a client and address.
func splice(client net.Conn, r io.Reader, address string) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(server, r)
		server.Close()
	}()
	io.Copy(client, server)
}

// socksProxy is a SOCKS5 proxy (RFC 1928) that wants user and password (RFC 1929) if user
// is not empty, leads every connection to target, and notes the names that it is asked for.
func socksProxy(t *testing.T, target, user, password string, asked *[]string) *net.TCPAddr {
	return listen(t, "127.0.0.1:0", func(conn net.Conn) {
		r := bufio.NewReader(conn)
		octets := func(n int) []byte {
			b := make([]byte, n)
			io.ReadFull(r, b)
			return b
		}
		methods := octets(int(octets(2)[1]))
		switch {
		case user == "":
			conn.Write([]byte{5, 0})
		case !strings.Contains(string(methods), "\x02"):
			conn.Write([]byte{5, 0xff})
			return
		default:
			conn.Write([]byte{5, 2})
			u := string(octets(int(octets(2)[1])))
			p := string(octets(int(octets(1)[0])))
			if u != user || p != password {
				conn.Write([]byte{1, 1})
				return
			}
			conn.Write([]byte{1, 0})
		}
		head := octets(4)
		if head[3] != 3 {
			conn.Write([]byte{5, 8, 0, 1, 0, 0, 0, 0, 0, 0})
			return
		}
		name := string(octets(int(octets(1)[0])))
		octets(2)
		*asked = append(*asked, name)
		if name == "refused.test" {
			conn.Write([]byte{5, 4, 0, 1, 0, 0, 0, 0, 0, 0})
			return
		}
		conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		splice(conn, r, target)
	})
}

func TestSOCKSProxyResolvesTheNameAndTakesALogin(t *testing.T) {
	server := listen(t, "127.0.0.1:0", greet)
	var asked []string
	proxy := socksProxy(t, server.String(), "bob", "s3cr3t", &asked)
	var route Route
	w := &Way{Proxy: parse(t, "socks5://bob:s3cr3t@"+proxy.String()), Connected: func(r Route) { route = r }}
	conn, err := w.Dial(t.Context(), "tcp", "mail.test:110")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	talk(t, conn)
	if len(asked) != 1 || asked[0] != "mail.test" {
		t.Errorf("the proxy was asked for %q", asked)
	}
	if route.Peer != proxy.String() || strings.Contains(route.Via, "s3cr3t") || route.Via == "" {
		t.Errorf("route %+v", route)
	}
	for url, want := range map[string]string{
		"socks5://bob:wr0ng-pw@" + proxy.String(): "username/password authentication failed",
		"socks5://" + proxy.String():              "no acceptable authentication methods",
	} {
		_, err := (&Way{Proxy: parse(t, url)}).Dial(t.Context(), "tcp", "mail.test:110")
		var known *Error
		if !errors.As(err, &known) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "wr0ng-pw") || known.Hint == "" {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := w.Dial(t.Context(), "tcp", "refused.test:110"); err == nil || !strings.Contains(err.Error(), "SOCKS5 to refused.test:110: host unreachable") {
		t.Errorf("got %v", err)
	}
}

// httpProxy answers CONNECT by reply, and after a 200 leads to target.
func httpProxy(t *testing.T, target string, reply func(*http.Request) string) *net.TCPAddr {
	return listen(t, "127.0.0.1:0", func(conn net.Conn) {
		r := bufio.NewReader(conn)
		request, err := http.ReadRequest(r)
		if err != nil || request.Method != http.MethodConnect {
			return
		}
		text := reply(request)
		io.WriteString(conn, text)
		if strings.Contains(text, " 200 ") {
			splice(conn, r, target)
		}
	})
}

func TestHTTPProxyConnectsToTheServer(t *testing.T) {
	server := listen(t, "127.0.0.1:0", greet)
	for name, after := range map[string]string{"alone": "", "with the greeting in the same segment": "+OK hello\r\n"} {
		t.Run(name, func(t *testing.T) {
			target := server.String()
			if after != "" {
				target = listen(t, "127.0.0.1:0", func(conn net.Conn) { io.Copy(conn, conn) }).String()
			}
			proxy := httpProxy(t, target, func(r *http.Request) string {
				if r.Host != "mail.test:110" || r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("bob:s3cr3t@")) {
					t.Errorf("request %+v", r)
				}
				return "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n" + after
			})
			conn, err := (&Way{Proxy: parse(t, "http://bob:s3cr3t%40@"+proxy.String())}).Dial(t.Context(), "tcp", "mail.test:110")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			talk(t, conn)
		})
	}
}

func TestRefusalOfAnHTTPProxyIsPutIntoWords(t *testing.T) {
	for reply, want := range map[string]struct {
		text, hint string
		lasting    bool
	}{
		"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n\r\n": {"407 Proxy", "refuses user and password", true},
		"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\n\r\n":                                     {"407 No", "Basic only", true},
		"HTTP/1.1 403 Forbidden\r\n\r\n":                                                          {"403 Forbidden", "port 443", false},
		"HTTP/1.1 502 s3cr3t\x1b[2J\r\n\r\n":                                                      {`502 ***\x1b[2J`, "does not reach", false},
		"SSH-2.0-x\r\n":                                                                           {"CONNECT mail.test:110: ", "is it an HTTP proxy?", false},
		"":                                                                                        {"closed the connection", "is it an HTTP proxy?", false},
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxConnectReply): {"", "is it an HTTP proxy?", false},
	} {
		proxy := httpProxy(t, "", func(*http.Request) string { return reply })
		_, err := (&Way{Proxy: parse(t, "http://bob:s3cr3t@"+proxy.String())}).Dial(t.Context(), "tcp", "mail.test:110")
		var known *Error
		if !errors.As(err, &known) || !strings.Contains(err.Error(), want.text) || !strings.Contains(known.Hint, want.hint) || known.Lasting != want.lasting {
			t.Errorf("%.40q: %v, %+v", reply, err, known)
			continue
		}
		if text := err.Error() + known.Hint; strings.Contains(text, "s3cr3t") || strings.ContainsAny(text, "\x1b\r\n") {
			t.Errorf("%.40q: %q", reply, text)
		}
	}
}

func TestSilentProxyEndsWithTheContext(t *testing.T) {
	for _, scheme := range []string{"socks5", "http", "https"} {
		reached := make(chan struct{})
		proxy := listen(t, "127.0.0.1:0", func(conn net.Conn) {
			conn.Read(make([]byte, 1))
			close(reached)
			io.Copy(io.Discard, conn)
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-reached; cancel() }()
		_, err := (&Way{Proxy: parse(t, scheme+"://"+proxy.String())}).Dial(ctx, "tcp", "mail.test:110")
		if !errors.Is(err, context.Canceled) || !strings.Contains(fmt.Sprint(err), "proxy "+scheme+"://") {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}

func TestProxyThatIsNotThereIsNamed(t *testing.T) {
	_, err := (&Way{Proxy: parse(t, "socks5://bob:s3cr3t@127.0.0.1:1")}).Dial(t.Context(), "tcp", "mail.test:110")
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("got %v", err)
	}
}

func TestDeadlineOfTheLoginAtTheProxyDoesNotOutliveIt(t *testing.T) {
	server := listen(t, "127.0.0.1:0", greet)
	proxy := httpProxy(t, server.String(), func(*http.Request) string { return "HTTP/1.1 200 OK\r\n\r\n" })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	conn, err := (&Way{Proxy: parse(t, "http://"+proxy.String())}).Dial(ctx, "tcp", "mail.test:110")
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	talk(t, conn)
}
