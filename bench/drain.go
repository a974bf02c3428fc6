//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// drainWindow is how many commands are sent ahead.
const drainWindow = 256

// drainer is the floor of the network: a client that knows in advance what the server
// offers, pipelines as much as it can and discards what it receives.
type drainer struct {
	addr     string
	password string
	trust    *x509.CertPool // nil = clear text
	retr     bool           // retrieve the messages; else only the listing
	dele     bool           // delete every message
	parallel int            // connections at the same time
}

// drainMain runs a drainer as a program with these arguments, and prints how many messages it
// received.
func drainMain(args []string) error {
	flags := flag.NewFlagSet("drain", flag.ContinueOnError)
	d := drainer{}
	flags.StringVar(&d.addr, "addr", "", "host:port")
	flags.StringVar(&d.password, "password", "", "password of all users")
	flags.BoolVar(&d.retr, "retr", false, "retrieve")
	flags.BoolVar(&d.dele, "dele", false, "delete")
	flags.IntVar(&d.parallel, "parallel", 1, "connections at the same time")
	ca := flags.String("ca", "", "PEM file to trust; TLS from the first octet on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *ca != "" {
		pem, err := os.ReadFile(*ca)
		if err != nil {
			return err
		}
		d.trust = x509.NewCertPool()
		d.trust.AppendCertsFromPEM(pem)
	}
	n, err := d.all(flags.Args())
	fmt.Println(n)
	return err
}

// all drains the maildrops of all users and returns how many messages it received.
func (d *drainer) all(users []string) (int, error) {
	counts := make([]int, len(users))
	var work errgroup.Group
	work.SetLimit(d.parallel)
	for i, user := range users {
		work.Go(func() (err error) { counts[i], err = d.one(user); return err })
	}
	err := work.Wait()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum, err
}

func (d *drainer) one(user string) (int, error) {
	s, err := d.dial()
	if err != nil {
		return 0, err
	}
	defer s.conn.Close()
	if _, err := s.line(); err != nil {
		return 0, fmt.Errorf("greeting: %w", err)
	}
	s.send("USER %s\r\nPASS %s\r\nUIDL\r\n", user, d.password)
	for _, command := range []string{"USER", "PASS"} {
		if _, err := s.line(); err != nil {
			return 0, fmt.Errorf("%s: %w", command, err)
		}
	}
	held, got := 0, 0
	if err := s.lines(func([]byte) { held++ }); err != nil {
		return 0, fmt.Errorf("UIDL: %w", err)
	}
	if d.retr {
		if err := s.window(held, "RETR %d\r\n", func() error { got++; return s.lines(nil) }); err != nil {
			return got, fmt.Errorf("RETR: %w", err)
		}
	}
	if d.dele {
		if err := s.window(held, "DELE %d\r\n", func() error { _, err := s.line(); return err }); err != nil {
			return got, fmt.Errorf("DELE: %w", err)
		}
	}
	s.send("QUIT\r\n")
	if d.dele { // nothing was deleted: no need to wait for the reply
		if _, err := s.line(); err != nil {
			return got, fmt.Errorf("QUIT: %w", err)
		}
	}
	return got, nil
}

// messages returns the unique-id and the octets of each message of a maildrop.
func (d *drainer) messages(user string) ([]message, error) {
	s, err := d.dial()
	if err != nil {
		return nil, err
	}
	defer s.conn.Close()
	s.send("USER %s\r\nPASS %s\r\nUIDL\r\nLIST\r\nQUIT\r\n", user, d.password)
	for range 3 {
		if _, err := s.line(); err != nil {
			return nil, err
		}
	}
	var held []message
	if err := s.lines(func(line []byte) { held = append(held, message{id: secondWord(line)}) }); err != nil {
		return nil, err
	}
	i := 0
	err = s.lines(func(line []byte) {
		if i < len(held) {
			held[i].octets, _ = strconv.ParseInt(secondWord(line), 10, 64)
		}
		i++
	})
	if err == nil && i != len(held) {
		err = fmt.Errorf("UIDL has %d lines and LIST %d", len(held), i)
	}
	return held, err
}

// message is one message of a maildrop.
type message struct {
	id     string
	octets int64
}

func secondWord(line []byte) string {
	_, word, _ := strings.Cut(string(bytes.TrimSpace(line)), " ")
	return word
}

func (d *drainer) dial() (*session, error) {
	conn, err := net.Dial("tcp", d.addr)
	if err != nil {
		return nil, err
	}
	if d.trust != nil {
		host, _, _ := net.SplitHostPort(d.addr)
		conn = tls.Client(conn, &tls.Config{RootCAs: d.trust, ServerName: host})
	}
	return &session{conn: conn, in: bufio.NewReaderSize(conn, 256<<10)}, nil
}

// session is a connection to a server. A failed send shows as an error of the next read.
type session struct {
	conn net.Conn
	in   *bufio.Reader
}

func (s *session) send(format string, args ...any) { fmt.Fprintf(s.conn, format, args...) }

// line reads a one-line reply. It is valid until the next read.
func (s *session) line() ([]byte, error) {
	line, err := s.in.ReadSlice('\n')
	if err == nil && !bytes.HasPrefix(line, []byte("+OK")) {
		err = fmt.Errorf("the server says %q", line)
	}
	return line, err
}

// lines reads a multi-line reply and calls each, if not nil, for every line between the first
// and the last. A line is valid during the call; long ones come in parts.
func (s *session) lines(each func([]byte)) error {
	if _, err := s.line(); err != nil {
		return err
	}
	for whole := true; ; {
		line, err := s.in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if whole && string(line) == ".\r\n" {
			return nil
		}
		if each != nil {
			each(line)
		}
		whole = err == nil
	}
}

// window sends a command for each of n messages, not more than drainWindow ahead of
// the replies that reply reads.
func (s *session) window(n int, command string, reply func() error) error {
	var out bytes.Buffer
	for sent, done := 0, 0; done < n; done++ {
		// Half a window at a time: one write for many commands.
		if sent < n && sent-done <= drainWindow/2 {
			for ; sent < n && sent < done+drainWindow; sent++ {
				fmt.Fprintf(&out, command, sent+1)
			}
			if _, err := out.WriteTo(s.conn); err != nil {
				return err
			}
		}
		if err := reply(); err != nil {
			return err
		}
	}
	return nil
}
