package pop3test_test

import (
	"fmt"
	"log"
	"net/textproto"

	"popfetch/fetch/pop3/pop3test"
)

// A message that cannot be had in the first session, and can in the second.
func ExampleServer() {
	maildrop := pop3test.NewMaildrop(pop3test.Message{UID: "one", Raw: pop3test.Text("Subject: hi\n\nhi\n")})
	server := &pop3test.Server{
		Security: pop3test.ClearText,
		Users:    map[string]*pop3test.User{"alice": {Password: "secret", Maildrop: maildrop}},
		Faults:   []pop3test.Fault{{At: "RETR 1", Session: 1, Do: pop3test.Err, Text: "not now"}},
	}
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	for range 2 {
		client, err := textproto.Dial("tcp", server.Addr())
		if err != nil {
			log.Fatal(err)
		}
		client.PrintfLine("USER alice\r\nPASS secret\r\nRETR 1")
		var line string
		for range 4 { // the greeting is the first
			line, _ = client.ReadLine()
		}
		fmt.Println(line)
		client.Close()
	}
	fmt.Println("retrieved:", maildrop.Retrieved("one"))
	fmt.Println(server.SessionCommands(1))
	// Output:
	// -ERR not now
	// +OK 19 octets
	// retrieved: 1
	// [USER alice PASS *** RETR 1]
}
