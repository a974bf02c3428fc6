// Old devices have certificates with a negative serial number, which RFC 5280 section
// 4.1.2.2 forbids and crypto/x509 refuses to parse: they could not even be pinned. The
// number plays no part in verification, so certificates that are not pinned are checked
// as strictly as before.
//
//go:debug x509negativeserial=1

// Popfetch fetches mail from POP3 accounts into Maildirs or hands it to a program.
//
// The house, from the door inwards; imports run from left to right only:
//
//	internal/cli        the command line: commands, wiring, exit codes
//	  internal/config   config.toml as validated plain data
//	  fetch             one account's poll, the plan, the schedule of many accounts
//	    fetch/pop3      the POP3 client
//	    deliver         what a destination has to promise; stamps and line ends
//	    state           what was delivered from which maildrop
//	  deliver/maildir   mail into a Maildir
//	  deliver/mda       mail into a program
//
// fetch/pop3/pop3test is a POP3 server for tests and demonstrations,
// deliver/delivertest the tests that every destination passes.
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
