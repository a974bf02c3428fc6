package discovery

import "fmt"

// NoPOP3Error is an address whose provider has no POP3.
type NoPOP3Error struct {
	Domain string
	Why    string
}

func (e *NoPOP3Error) Error() string { return fmt.Sprintf("%s: %s", e.Domain, e.Why) }

// NotFoundError is an address for which nobody names a server, and none has a usual name.
type NotFoundError struct {
	Domain   string
	NoDNS    bool // DNS did not answer, so that there may be one
	IMAPOnly bool // the domain names servers, but none for POP3 with TLS
}

func (e *NotFoundError) Error() string {
	switch {
	case e.NoDNS:
		return fmt.Sprintf("%s: DNS does not answer; is this machine connected?", e.Domain)
	case e.IMAPOnly:
		return fmt.Sprintf("%s: the provider names servers, but none for POP3 with TLS, and none has a usual name", e.Domain)
	}
	return fmt.Sprintf("%s: no POP3 server found: nobody names one, and none has a usual name", e.Domain)
}

// UnreachableError is a server that is named for an address and does not answer as one.
type UnreachableError struct {
	Server Server
	Err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s, which %s names: %v", e.Server, e.Server.Source, e.Err)
}

// Unwrap returns what Finder.Probe has returned.
func (e *UnreachableError) Unwrap() error { return e.Err }
