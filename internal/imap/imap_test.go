package imap

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"popfetch/internal/login"
)

// hangUp as the last line of a dialog closes the connection.
const hangUp = "hang up"

// server plays one side of a dialog: lines that begin with "S: " are sent, with "C: "
// expected. The tag of the client's last line is %s.
func server(t *testing.T, dialog ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in := bufio.NewReader(c)
		tag := ""
		for _, line := range dialog {
			if line == hangUp {
				return
			}
			if text, ok := strings.CutPrefix(line, "S: "); ok {
				io.WriteString(c, strings.ReplaceAll(text, "%s", tag)+"\r\n")
				continue
			}
			got, err := in.ReadString('\n')
			if err != nil {
				return
			}
			got = strings.TrimSuffix(got, "\r\n")
			want := strings.TrimPrefix(line, "C: ")
			if rest, ok := strings.CutPrefix(want, "%s "); ok {
				tag, got, _ = strings.Cut(got, " ")
				want = rest
			}
			if got != want {
				t.Errorf("the client sent %q, want %q", got, want)
			}
		}
		io.Copy(io.Discard, c)
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// begun is the beginning of a dialog.
func begun(caps string, more ...string) []string {
	return append([]string{"S: * OK ready", "C: %s CAPABILITY", "S: * CAPABILITY " + caps, "S: %s OK done"}, more...)
}

func dial(t *testing.T, addr string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), addr, Options{Security: ClearText})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestLoginDialogs(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	password := Credentials{User: "me", Password: `se"cret\`}
	token := Credentials{User: "me", Token: "tok", Methods: []string{"xoauth2", "oauthbearer"}}
	for name, x := range map[string]struct {
		caps   string
		cred   Credentials
		dialog []string
		method string // "" = refused
	}{
		"LOGIN":                          {"IMAP4rev1", password, []string{`C: %s LOGIN "me" "se\"cret\\"`, "S: %s OK [CAPABILITY IMAP4rev1 LITERAL+] in"}, "plain"},
		"PLAIN":                          {"IMAP4rev1 AUTH=PLAIN", password, []string{"C: %s AUTHENTICATE PLAIN", "S: + ", "C: " + b64("\x00me\x00se\"cret\\"), "S: %s OK [CAPABILITY IMAP4rev1] in"}, "plain"},
		"PLAIN with an initial response": {"IMAP4rev1 AUTH=PLAIN SASL-IR", password, []string{"C: %s AUTHENTICATE PLAIN " + b64("\x00me\x00se\"cret\\"), "S: * OK hello", "S: %s OK [CAPABILITY IMAP4rev1] in"}, "plain"},
		"AUTH=LOGIN":                     {"IMAP4rev1 AUTH=LOGIN LOGINDISABLED", password, []string{"C: %s AUTHENTICATE LOGIN", "S: + VXNlcm5hbWU6", "C: " + b64("me"), "S: + UGFzc3dvcmQ6", "C: " + b64(`se"cret\`), "S: %s OK [CAPABILITY IMAP4rev1] in"}, "login"},
		"XOAUTH2":                        {"IMAP4rev1 AUTH=XOAUTH2 SASL-IR", token, []string{"C: %s AUTHENTICATE XOAUTH2 " + b64("user=me\x01auth=Bearer tok\x01\x01"), "S: %s OK [CAPABILITY IMAP4rev1] in"}, "xoauth2"},
		"XOAUTH2 refused":                {"IMAP4rev1 AUTH=XOAUTH2 SASL-IR", token, []string{"C: %s AUTHENTICATE XOAUTH2 " + b64("user=me\x01auth=Bearer tok\x01\x01"), "S: + " + b64(`{"status":"400"}`), "C: ", "S: %s NO expired"}, ""},
		"CRAM-MD5 by name":               {"IMAP4rev1 AUTH=PLAIN AUTH=CRAM-MD5", Credentials{User: "tim", Password: "tanstaaftanstaaf", Methods: []string{"cram-md5"}}, []string{"C: %s AUTHENTICATE CRAM-MD5", "S: + PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+", "C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw", "S: %s OK [CAPABILITY IMAP4rev1] in"}, "cram-md5"},
		"CRAM-MD5 in clear text":         {"IMAP4rev1 AUTH=PLAIN AUTH=CRAM-MD5", Credentials{User: "tim", Password: "tanstaaftanstaaf"}, []string{"C: %s AUTHENTICATE CRAM-MD5", "S: + PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+", "C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw", "S: %s OK [CAPABILITY IMAP4rev1] in"}, "cram-md5"},
		"CRAM-MD5 without a challenge":   {"IMAP4rev1 AUTH=CRAM-MD5", password, []string{"C: %s AUTHENTICATE CRAM-MD5", "S: %s OK in"}, ""},
		"CRAM-MD5 with a bad challenge":  {"IMAP4rev1 AUTH=CRAM-MD5", password, []string{"C: %s AUTHENTICATE CRAM-MD5", "S: + !", "C: *", "S: %s BAD given up"}, ""},
		"none of those named":            {"IMAP4rev1 AUTH=SCRAM-SHA-1 SASL-IR", Credentials{User: "me", Password: "x", Methods: []string{"scram-sha-256-plus", "gssapi", "scram-sha-256"}}, nil, ""},
		"EXTERNAL":                       {"IMAP4rev1 AUTH=EXTERNAL", Credentials{User: "me", Methods: []string{"external"}}, []string{"C: %s AUTHENTICATE EXTERNAL", "S: + ", "C: " + b64("me"), "S: %s OK [CAPABILITY IMAP4rev1] in"}, "external"},
		"refused":                        {"IMAP4rev1", password, []string{`C: %s LOGIN "me" "se\"cret\\"`, "S: %s NO [AUTHENTICATIONFAILED] wrong"}, ""},
		"nothing offered":                {"IMAP4rev1 LOGINDISABLED AUTH=GSSAPI", password, nil, ""},
		"no token in clear text":         {"IMAP4rev1 AUTH=XOAUTH2", Credentials{User: "me", Token: "tok"}, nil, ""},
		"a line end in the password":     {"IMAP4rev1", Credentials{User: "me", Password: "a\r\nb LOGOUT"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, server(t, begun(x.caps, x.dialog...)...))
			method, err := c.Login(t.Context(), x.cred)
			var refused *login.Error
			if method != x.method || (err == nil) != (x.method != "") || err != nil && !errors.As(err, &refused) {
				t.Errorf("got %q, %v, want %q", method, err, x.method)
			}
			if err != nil && (strings.Contains(err.Error(), `se"cret`) || strings.Contains(err.Error(), "tok ")) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestSecretsAreNotLogged(t *testing.T) {
	for _, caps := range []string{"IMAP4rev1", "IMAP4rev1 AUTH=PLAIN SASL-IR", "IMAP4rev1 AUTH=PLAIN"} {
		dialog := begun(caps, `C: %s LOGIN "me" "hunter2"`, "S: %s OK [CAPABILITY IMAP4rev1] in")
		coded := base64.StdEncoding.EncodeToString([]byte("\x00me\x00hunter2"))
		switch {
		case strings.Contains(caps, "SASL-IR"):
			dialog[4] = "C: %s AUTHENTICATE PLAIN " + coded
		case strings.Contains(caps, "PLAIN"):
			dialog = begun(caps, "C: %s AUTHENTICATE PLAIN", "S: + ", "C: "+coded, "S: %s OK [CAPABILITY IMAP4rev1] in")
		}
		var log bytes.Buffer
		c, err := Dial(t.Context(), server(t, dialog...), Options{Security: ClearText, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Login(t.Context(), Credentials{User: "me", Password: "hunter2"}); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if strings.Contains(log.String(), "hunter2") || strings.Contains(log.String(), coded) || !strings.Contains(log.String(), "CAPABILITY") {
			t.Errorf("%s: the log is\n%s", caps, &log)
		}
	}
}

// A server may repeat what it was sent, wherever it likes.
func TestSecretThatTheServerRepeatsIsShownNowhere(t *testing.T) {
	const password = "hunter2-hunter2"
	coded := base64.StdEncoding.EncodeToString([]byte("\x00me\x00" + password))
	login := `C: %s LOGIN "me" "` + password + `"`
	for name, dialog := range map[string][]string{
		"in a refusal":        {login, "S: %s NO [AUTHENTICATIONFAILED] not " + password},
		"in base 64":          {login, "S: %s BAD what is " + coded},
		"in a response code":  {login, "S: %s NO [" + password + "] no"},
		"in a goodbye":        {login, "S: * BYE " + password, "S: x"},
		"in bad syntax":       {login, `S: * "` + password},
		"with a foreign tag":  {login, "S: x OK " + password},
		"in a continuation":   {login, "S: + " + password},
		"after the login":     {login, "S: %s OK [CAPABILITY IMAP4rev1] in", "C: %s NOOP", "S: %s NO " + password},
		"in untagged remarks": {login, "S: * OK you said " + password, "S: %s NO no"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c, err := Dial(t.Context(), server(t, begun("IMAP4rev1", dialog...)...), Options{Security: ClearText, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err = c.Login(t.Context(), Credentials{User: "me", Password: password}); err == nil {
				err = c.Noop()
			}
			if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), coded) {
				t.Errorf("the error is %v", err)
			}
			if strings.Contains(strings.ToLower(log.String()), "hunter2") || strings.Contains(log.String(), coded) || !strings.Contains(log.String(), "***") {
				t.Errorf("the log is\n%s", &log)
			}
		})
	}
}

// What comes in clear text behind the reply to STARTTLS must not count as protected, and a
// server without STARTTLS gets no login.
func TestStartTLSThatIsTamperedWith(t *testing.T) {
	for _, dialog := range [][]string{
		{"S: * OK ready", "C: %s STARTTLS", "S: %s OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN"},
		{"S: * OK ready", "C: %s STARTTLS", "S: %s BAD what"},
		{"S: * PREAUTH welcome"},
	} {
		c, err := Dial(t.Context(), server(t, dialog...), Options{Security: StartTLS})
		if err == nil {
			c.Close()
			t.Errorf("%q: connected", dialog)
		}
	}
}

func TestServerWithoutTLSIsRefused(t *testing.T) {
	addr := server(t, "S: * OK ready")
	c, err := Dial(t.Context(), addr, Options{Timeout: 50 * time.Millisecond})
	if err == nil {
		c.Close()
		t.Error("a server without TLS is accepted")
	}
}

func TestSenselessResponsesEndTheConnection(t *testing.T) {
	for name, response := range map[string]string{
		"another tag":       "x9 OK done",
		"endless line":      "* OK " + strings.Repeat("x", 2*maxLine),
		"a NUL":             "* OK \x00",
		"literal too long":  "* LIST () \"/\" {999999999}",
		"lists in lists":    "* " + strings.Repeat("(", 100),
		"unfinished list":   "* LIST (",
		"unfinished string": `* LIST "`,
		"not IMAP":          "HTTP/1.1 400 Bad Request",
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, server(t, begun("IMAP4rev1", "C: %s NOOP", "S: "+response)...))
			var bad *ProtocolError
			if err := c.Noop(); !errors.As(err, &bad) || len(err.Error()) > 2000 {
				t.Errorf("got %.300v", err)
			}
			if err := c.Noop(); err == nil || !c.Failed() {
				t.Error("the connection goes on")
			}
		})
	}
}

func TestEndlessResponsesEndTheConnection(t *testing.T) {
	near, far := net.Pipe()
	go func() {
		io.WriteString(far, "* OK ready\r\n")
		line, _ := bufio.NewReader(far).ReadString('\n')
		for line != "" {
			if _, err := io.WriteString(far, "* OK "+strings.Repeat("still here ", 1000)+"\r\n"); err != nil {
				return
			}
		}
	}()
	c, err := Dial(t.Context(), "pipe:1", Options{Security: ClearText, Dial: func(context.Context, string, string) (net.Conn, error) { return near, nil }})
	if err == nil {
		c.Close()
		t.Error("an endless response is accepted")
	}
	var bad *ProtocolError
	if !errors.As(err, &bad) {
		t.Errorf("got %v", err)
	}
}

func TestFetchWithoutEndEndsTheConnection(t *testing.T) {
	near, far := net.Pipe()
	go func() {
		in := bufio.NewReader(far)
		io.WriteString(far, "* OK ready\r\n")
		line, _ := in.ReadString('\n')
		tag, _, _ := strings.Cut(line, " ")
		io.WriteString(far, "* CAPABILITY IMAP4rev1\r\n"+tag+" OK done\r\n")
		in.ReadString('\n')
		for {
			if _, err := io.WriteString(far, strings.Repeat("* 1 FETCH (FLAGS ())\r\n", 1000)); err != nil {
				return
			}
		}
	}()
	c, err := Dial(t.Context(), "pipe:1", Options{Security: ClearText, Dial: func(context.Context, string, string) (net.Conn, error) { return near, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.fetch("1:*", "HEADER", 1, func(Message) {}); err == nil || !c.Failed() {
		t.Errorf("got %v", err)
	}
}

func TestServerThatStallsIsGivenUp(t *testing.T) {
	c := dial(t, server(t, begun("IMAP4rev1", "C: %s NOOP")...))
	c.waiting = time.Millisecond
	if err := c.Noop(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestByeIsPartOfTheError(t *testing.T) {
	c := dial(t, server(t, begun("IMAP4rev1", "C: %s NOOP", "S: * BYE [UNAVAILABLE] going down", hangUp)...))
	if err := c.Noop(); err == nil || !strings.Contains(err.Error(), `"* BYE [UNAVAILABLE] going down"`) {
		t.Errorf("got %v", err)
	}
}

// Otherwise the server would choose what is sent next.
func TestFolderWithALineEndInItsNameIsPassedOver(t *testing.T) {
	c := dial(t, server(t, begun("IMAP4rev1", `C: %s LIST "" "*"`, "S: * LIST (\\Junk) \"/\" {16}\r\nSpam\"\r\np9 LOGOUT", `S: * LIST (\Junk) "/" "Spam"`, "S: %s OK done")...))
	if name, err := c.SpecialUse(`\Junk`); name != "Spam" || err != nil {
		t.Errorf("got %q, %v", name, err)
	}
}

func TestNamesInModifiedUTF7(t *testing.T) {
	for name, want := range map[string]string{
		"INBOX": "INBOX", "a&b": "a&-b", "Entwürfe": "Entw&APw-rfe", "台北": "&U,BTFw-", "~peter/mail/台北/日本語": "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
		"😀": "&2D3eAA-", "&": "&-", "ü&ü": "&APw-&-&APw-",
	} {
		if got := encodeName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// A failed source must not let the server store a part of a message.
func TestSourceThatFailsEndsTheConnection(t *testing.T) {
	c := dial(t, server(t, begun("IMAP4rev1 LITERAL+", `C: %s APPEND "INBOX" " 1-Oct-2026 10:00:00 +0000" {10+}`)...))
	results := c.Append([]Append{
		{Folder: "INBOX", Date: time.Date(2026, 10, 1, 10, 0, 0, 0, time.UTC), Size: 10, Text: strings.NewReader("short")},
		{Folder: "INBOX", Size: 1, Text: strings.NewReader("x")},
	})
	var source *SourceError
	if !errors.As(results[0].Err, &source) || results[0].Sent || results[1].Err == nil || results[1].Sent || errors.As(results[1].Err, &source) || !c.Failed() {
		t.Errorf("got %+v", results)
	}
}

// FuzzResponse: whatever a server sends is parsed or refused, in bounded memory.
func FuzzResponse(f *testing.F) {
	f.Add("* LIST (\\Junk) \"/\" \"Spam\"")
	f.Add("* 1 FETCH (UID 5 RFC822.SIZE 3 BODY[HEADER]<0> {3}\r\nabc)")
	f.Add("a1 OK [APPENDUID 1 2] done")
	f.Add("* STATUS \"x\" (UIDNEXT 3 UIDVALIDITY 4)")
	f.Add("+ go on")
	f.Fuzz(func(t *testing.T, text string) {
		near, far := net.Pipe()
		go func() {
			io.WriteString(far, text+"\r\n")
			far.Close()
		}()
		c := &Client{opts: Options{Log: slog.New(slog.DiscardHandler)}, waiting: time.Minute}
		c.use(near)
		defer c.Close()
		for {
			r, err := c.response()
			if err != nil {
				return
			}
			if r.tag == "" && r.status != "" {
				t.Errorf("%q has a status and no tag", text)
			}
			_ = r.refusal("X")
			_ = r.shown()
		}
	})
}
