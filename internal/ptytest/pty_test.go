//go:build linux

package ptytest

import (
	"bufio"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/term"
)

func TestTerminalShowsWhatIsTypedUntilEchoEnds(t *testing.T) {
	user, terminal := Open(t, 37)
	size, err := pty.GetsizeFull(terminal)
	if err != nil || size.Cols != 37 {
		t.Errorf("%+v, %v", size, err)
	}
	if !Echoes(t, terminal) {
		t.Error("a new terminal does not echo")
	}
	read := make(chan string)
	go func() {
		text, _ := term.ReadPassword(int(terminal.Fd()))
		read <- string(text)
	}()
	WaitForNoEcho(t, terminal)
	user.WriteString("typed\n")
	if got := <-read; got != "typed" {
		t.Errorf("read %q", got)
	}
	if !Echoes(t, terminal) {
		t.Error("the terminal was left without echo")
	}
	terminal.WriteString("shown\n")
	if line, err := bufio.NewReader(user).ReadString('\n'); line != "shown\r\n" {
		t.Errorf("the screen shows %q, %v", line, err)
	}
}
