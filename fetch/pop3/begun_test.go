package pop3

import (
	"net"
	"testing"
)

// A server that was started for its user may greet or not, and know CAPA or not.
func TestSessionThatHasBegunNeedsNoGreetingAndNoLogin(t *testing.T) {
	for name, x := range map[string]struct {
		opening string
		uidl    bool
	}{
		"no greeting":                      {"S: +OK\nS: UIDL\nS: .\n", true},
		"greeting":                         {"S: +OK hello\nS: +OK\nS: UIDL\nS: .\n", true},
		"no greeting, CAPA not known":      {"S: -ERR unknown\n", false},
		"greeting, and CAPA not known":     {"S: +OK hello\nS: -ERR unknown\n", false},
		"no greeting, and nothing offered": {"S: +OK\nS: .\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := net.Pipe()
			played := make(chan error, 1)
			go func() {
				played <- peer{script: "C: CAPA\n" + x.opening + "C: STAT\nS: +OK 2 20\nC: QUIT\nS: +OK\n"}.play(server)
			}()
			c, err := NewClient(t.Context(), client, "x", &Options{Security: ClearText, Begun: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if method, err := c.Login(Credentials{User: "bob", Methods: []string{"none"}}); method != "none" || err != nil {
				t.Errorf("login: %q, %v", method, err)
			}
			if c.Capabilities().Has("UIDL") != x.uidl {
				t.Errorf("capabilities %v", c.Capabilities())
			}
			if n, _, err := c.Stat(); n != 2 || err != nil {
				t.Errorf("stat: %d, %v", n, err)
			}
			if err := c.Quit(); err != nil {
				t.Error(err)
			}
			if err := <-played; err != nil {
				t.Error(err)
			}
		})
	}
}
