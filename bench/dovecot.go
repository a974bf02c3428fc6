//go:build linux

package main

import (
	"crypto/x509/pkix"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"popfetch/internal/certtest"
	"popfetch/internal/dovecottest"
)

// password is that of every user of the server. Any user name will do.
const password = dovecottest.Password

// dovecot is a running server with the maildrops of the benchmark.
type dovecot struct {
	*dovecottest.Server
	at        namespace // where it listens
	maildrops int       // made so far
}

// settings of the server besides those of dovecottest: one process of each kind serves many
// sessions, reading a message leaves no mark, and all clients log in the same way.
const settings = `
auth_mechanisms = plain
auth_verbose = no
pop3_no_flag_updates = yes
default_vsz_limit = 8G
service pop3 {
  process_limit = 1024
  service_count = 0
}
service pop3-login {
  client_limit = 4000
}
`

// startDovecot starts a server that keeps its files in dir, which has to be short and
// open to other users. It listens on the given addresses of a namespace; one of them is
// 127.0.0.1.
func startDovecot(dir string, at namespace, listen ...string) (*dovecot, error) {
	certificate, err := certtest.SelfSigned(certtest.Request{
		Subject: pkix.Name{CommonName: "127.0.0.1"},
		IPs:     []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(serverAddr)},
	})
	if err != nil {
		return nil, err
	}
	d := &dovecot{at: at}
	err = at.do(func() error {
		d.Server, err = dovecottest.Start(dovecottest.Options{
			Dir: dir, Listen: listen, Certificate: &certificate, Settings: settings,
		})
		return err
	})
	return d, err
}

// port is the one that the server listens on, with or without TLS.
func (d *dovecot) port(tls bool) string {
	addr := d.POP3
	if tls {
		addr = d.POP3S
	}
	return addr[strings.LastIndexByte(addr, ':')+1:]
}

// texts are the paths of what the messages of a box are links to.
func (d *dovecot) texts(b box) ([]string, error) {
	return b.masters(filepath.Join(d.Dir, "texts"), d.Own)
}

// fill makes a maildrop of a new user with the contents of b, in links to its texts, and
// lets the server index it. It returns the name of the user.
func (d *dovecot) fill(b box) (string, error) {
	texts, err := d.texts(b)
	if err != nil {
		return "", err
	}
	d.maildrops++
	name := fmt.Sprintf("user%d", d.maildrops)
	maildir, err := d.AddUser(name)
	if err != nil {
		return "", err
	}
	for i := range b.count {
		text := texts[i%len(texts)]
		info, err := os.Stat(text)
		if err != nil {
			return "", err
		}
		// The size in the name saves the server a look into the file.
		if err := os.Link(text, filepath.Join(maildir, "cur", fmt.Sprintf("17%08d.M1P1.bench,S=%d:2,", i, info.Size()))); err != nil {
			return "", err
		}
	}
	held, err := d.messages(name)
	if err == nil && len(held) != b.count {
		err = fmt.Errorf("the maildrop of %s has %d messages instead of %d", name, len(held), b.count)
	}
	return name, err
}

// holds is how many messages a user has.
func (d *dovecot) holds(user string) (int, error) {
	cur, err := os.Open(filepath.Join(d.Mail, user, "cur"))
	if err != nil {
		return 0, err
	}
	defer cur.Close()
	list, err := cur.Readdirnames(-1)
	return len(list), err
}

// messages is what the server lists to a user.
func (d *dovecot) messages(user string) (held []message, err error) {
	err = d.at.do(func() error {
		held, err = (&drainer{addr: d.POP3, password: password}).messages(user)
		return err
	})
	return held, err
}
