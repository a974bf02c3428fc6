// Old devices have certificates with a negative serial number, which RFC 5280 section
// 4.1.2.2 forbids and crypto/x509 refuses to parse: they could not even be pinned. The
// number plays no part in verification, so certificates that are not pinned are checked
// as strictly as before.
//
//go:debug x509negativeserial=1

// Popfetch fetches mail from POP3 accounts and delivers it into Maildirs or to a program.
//
// The packages, from the command line inwards; imports run from left to right only:
//
//	internal/cli          commands, wiring, exit codes
//	  internal/secret     the password of an account
//	    internal/config   config.toml as validated plain data
//	  fetch               the schedule, one poll of an account and its sessions
//	    fetch/settle      a group of received messages, from Stage to Publish
//	    fetch/plan        what a poll does with each message, and why
//	    fetch/pop3        the POP3 client
//	    deliver           what a destination has to promise
//	    state             what was delivered from which maildrop
//	  deliver/maildir     delivers into a Maildir
//	  deliver/mda         delivers to a program
//	  deliver/relay       delivers to another mail server, by LMTP
//	    internal/spool    holds a message for a destination that sends it on
//	    internal/durable  files and directory entries that survive a power cut
//
// docs/hacking.md describes the layout, and where a new feature belongs.
package main

import (
	"os"

	"popfetch/internal/cli"
)

// version is set by the Makefile.
var version = "devel"

func main() {
	os.Exit(cli.Main(os.Args, os.Stdout, os.Stderr, version))
}
