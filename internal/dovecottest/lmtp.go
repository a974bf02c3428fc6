//go:build linux

package dovecottest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
)

// SendLMTP hands messages with CRLF line ends to the LMTP server at a TCP address, with the
// least waits that their commands need: one for the sender, the recipient and DATA, one for the
// text.
func SendLMTP(address, recipient string, texts []string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	say := func(what string, replies int) error {
		if _, err := io.WriteString(c, what); err != nil {
			return err
		}
		for replies > 0 {
			line, err := in.ReadString('\n')
			if err != nil {
				return err
			}
			if len(line) < 4 || line[0] > '3' {
				return fmt.Errorf("the LMTP server said %q", line)
			}
			if line[3] == ' ' {
				replies--
			}
		}
		return nil
	}
	if err := say("", 1); err != nil {
		return err
	}
	if err := say("LHLO bare\r\n", 1); err != nil {
		return err
	}
	for _, text := range texts {
		if err := say("MAIL FROM:<>\r\nRCPT TO:<"+recipient+">\r\nDATA\r\n", 3); err != nil {
			return err
		}
		text = strings.TrimSuffix(strings.ReplaceAll("\r\n"+text, "\r\n.", "\r\n.."), "\r\n")[2:]
		if err := say(text+"\r\n.\r\n", 1); err != nil {
			return err
		}
	}
	return say("QUIT\r\n", 1)
}
