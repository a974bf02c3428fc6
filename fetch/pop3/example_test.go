package pop3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"

	"popfetch/fetch/pop3"
)

// server plays a server with two messages, which the examples talk to in clear
// text instead of over the network.
const server = `
	S: +OK ready
	C: CAPA
	S: +OK
	S: USER
	S: TOP
	S: UIDL
	S: PIPELINING
	S: .
	C: USER me
	S: +OK
	C: PASS secret
	S: +OK
`

func open(script string) *pop3.Client {
	conn := pop3.PlayForExample(server + script)
	c, err := pop3.NewClient(context.Background(), conn, "pop.example.org", &pop3.Options{Security: pop3.ClearText})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.Login(pop3.Credentials{User: "me", Password: "secret"}); err != nil {
		log.Fatal(err)
	}
	return c
}

// How a session begins; nil options mean TLS on the port given, verified
// against the system's certificates.
func ExampleDial() {
	ctx := context.Background()
	c, err := pop3.Dial(ctx, "tcp", "pop.example.org:995", nil)
	if err != nil {
		log.Print(err)
		return
	}
	defer c.Close()
	method, err := c.Login(pop3.Credentials{User: "me@example.org", Password: "secret"})
	var refused *pop3.ResponseError
	switch {
	case err == nil:
		log.Print("logged in with ", method)
	case errors.As(err, &refused) && refused.Code == pop3.InUse:
		log.Print("another session holds the maildrop")
	default:
		log.Print(err)
	}
}

func ExampleClient_Uidl() {
	c := open(`
		C: UIDL
		S: +OK
		S: 1 a1
		S: 2
		S: 3 c3
		S: .
		C: QUIT
		S: +OK
	`)
	defer c.Close()
	for u, err := range c.Uidl() {
		if bad := new(pop3.LineError); errors.As(err, &bad) {
			fmt.Println("skipped:", err)
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(u.Num, string(u.ID))
	}
	if err := c.Quit(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1 a1
	// skipped: UIDL: no unique-id: server said "2"
	// 3 c3
}

func ExampleClient_Retr() {
	c := open(`
		C: RETR 1
		S: +OK 19 octets
		S: Subject: one
		S:
		S: ..
		S: .
		C: RETR 2
		S: -ERR no such message
		C: STAT
		S: +OK 1 19
		C: STAT
		S: +OK 1 19
		C: DELE 1
		S: +OK
		C: QUIT
		S: +OK
	`)
	defer c.Close()
	var delivered []int
	for m, err := range c.Retr([]int{1, 2}, nil) {
		if refused := new(pop3.ResponseError); errors.As(err, &refused) {
			fmt.Println(err)
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		text, err := io.ReadAll(m.Body) // a program would stream it
		if err != nil {
			continue // the loop yields it once more, and ends
		}
		fmt.Printf("%d octets: %q\n", len(text), text)
		delivered = append(delivered, m.Num)
	}
	for num, err := range c.Dele(delivered) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("marked", num)
	}
	if err := c.Quit(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("state", c.State())
	// Output:
	// 19 octets: "Subject: one\r\n\r\n.\r\n"
	// RETR 2: server said "-ERR no such message"
	// marked 1
	// state UPDATE
}
