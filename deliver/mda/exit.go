package mda

import (
	"fmt"
	"os"
	"syscall"

	"popfetch/deliver"
)

// meaning is what an exit code says about a delivery.
type meaning struct {
	name      string // of sysexits.h
	scope     deliver.Scope
	temporary bool
	hint      string
}

// exitMeaning returns the meaning of an exit code that is not 0. A permanent code about the
// message counts against that message. A code about the program itself has scope Place:
// the next message would get it too. All others are temporary: the message is safe on
// the server, and another attempt does less harm than giving up.
func exitMeaning(code int) meaning {
	switch code {
	case 64:
		return meaning{"EX_USAGE", deliver.Place, false, "the program does not take these arguments"}
	case 65:
		return meaning{"EX_DATAERR", deliver.Message, false, ""}
	case 66:
		return meaning{"EX_NOINPUT", deliver.Message, false, ""}
	case 67:
		return meaning{"EX_NOUSER", deliver.Message, false, ""}
	case 68:
		return meaning{"EX_NOHOST", deliver.Message, false, ""}
	case 69: // many programs use it for any error; the message stays on the server
		return meaning{"EX_UNAVAILABLE", deliver.Message, true, ""}
	case 70:
		return meaning{"EX_SOFTWARE", deliver.Message, true, ""}
	case 71:
		return meaning{"EX_OSERR", deliver.Message, true, ""}
	case 72:
		return meaning{"EX_OSFILE", deliver.Place, false, "the program lacks a file of the system"}
	case 73: // full disks and quotas: procmail, maildrop
		return meaning{"EX_CANTCREAT", deliver.Message, true, ""}
	case 74:
		return meaning{"EX_IOERR", deliver.Message, true, ""}
	case 75:
		return meaning{"EX_TEMPFAIL", deliver.Message, true, ""}
	case 76:
		return meaning{"EX_PROTOCOL", deliver.Message, false, ""}
	case 77:
		return meaning{"EX_NOPERM", deliver.Message, false, ""}
	case 78:
		return meaning{"EX_CONFIG", deliver.Place, false, "the program finds its own configuration wrong"}
	case 126: // of a shell and env(1), for EACCES of exec; 127 is for ENOENT
		return meaning{"not executable", deliver.Place, false, "a program that the MDA runs is not executable"}
	case 127:
		return meaning{"not found", deliver.Place, false, "a program that the MDA runs is not installed"}
	}
	return meaning{"", deliver.Message, true, ""}
}

// ended returns the error of a run that came to its end, nil if the message is delivered.
func (m *MDA) ended(r result) error {
	status, _ := r.state.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled():
		return m.killed(r, "", fmt.Errorf("killed by signal %d (%v)%s", int(status.Signal()), status.Signal(), r.out.said()))
	case r.state.ExitCode() != 0:
		e := exitMeaning(r.state.ExitCode())
		text := fmt.Sprintf("exit code %d", r.state.ExitCode())
		if e.name != "" {
			text += " (" + e.name + ")"
		}
		return m.fail("run", e.scope, e.temporary, e.hint, fmt.Errorf("%s%s", text, r.out.said()))
	case r.read < r.size:
		return m.fail("run", deliver.Message, true, "a program that takes mail has to read all of its standard input",
			fmt.Errorf("exited 0 after reading only %d of %d octets%s", r.read, r.size, r.out.said()))
	}
	return nil
}

// result is how a run ended.
type result struct {
	state *os.ProcessState
	read  int64 // octets of the message that the program has taken
	size  int64 // octets of the message
	out   *output
}

// killed returns the error of a run that a signal has ended. A program that has read the
// whole message may have delivered it before.
func (m *MDA) killed(r result, hint string, why error) error {
	failed := m.fail("run", deliver.Message, true, hint, why)
	failed.Unclear = r.read == r.size
	return failed
}
