package pop3

import (
	"bytes"
	"errors"
	"slices"
	"strings"
)

const maxCapabilities = 100 // lines

// Capabilities is what a server announces in its reply to CAPA. The zero value is
// that of a server that does not know CAPA or was not asked. RFC 2449 section 5
type Capabilities struct {
	Asked bool // the server has answered CAPA
	Known bool // with a list, not with -ERR
	list  []capability
}

type capability struct {
	name   string // upper case
	params []string
}

// Offer is what a server announces before the login and after it.
type Offer struct {
	Before Capabilities
	After  Capabilities // the zero value if Before has all that matters: then Login does not ask again
}

// pipelining reports whether PIPELINING was announced at all.
func (o Offer) pipelining() bool { return o.Before.Has("PIPELINING") || o.After.Has("PIPELINING") }

// ParseCapabilities is the inverse of Lines. Without any line it returns the zero
// value.
func ParseCapabilities(lines []string) Capabilities {
	c := Capabilities{Asked: len(lines) > 0, Known: len(lines) > 0}
	for _, line := range lines {
		c.add(line)
	}
	return c
}

// Lines returns the capabilities with their parameters, one line each, the names
// in upper case, in the order of the server.
func (c Capabilities) Lines() []string {
	lines := make([]string, 0, len(c.list))
	for _, e := range c.list {
		lines = append(lines, strings.Join(append([]string{e.name}, e.params...), " "))
	}
	return lines
}

// ShownCapabilities returns the lines of the capabilities for people: "***" for one that
// gives a secret away. They may hold any octets: callers escape them.
func (c *Client) ShownCapabilities() []string {
	lines := c.caps.Lines()
	for i, line := range lines {
		lines[i] = c.lines.secrets.conceal(line)
	}
	return lines
}

// Capa asks for the capabilities, in state AUTHORIZATION or TRANSACTION, and
// remembers them. A server that refuses CAPA has none; that is not an error.
func (c *Client) Capa() (Capabilities, error) {
	var refused *ResponseError
	_, err := c.simple("CAPA", Authorization, Transaction)
	if errors.As(err, &refused) {
		c.learn(Capabilities{Asked: true})
		return c.caps, nil
	}
	if err != nil {
		return Capabilities{}, err
	}
	caps := Capabilities{Asked: true, Known: true}
	maybeGreeting := c.opts.Begun && !c.caps.Asked
	_, err = c.listing("CAPA", maxCapabilities, func(line []byte, long *LineError) bool {
		if maybeGreeting && long == nil && (bytes.HasPrefix(line, []byte("+OK")) || bytes.HasPrefix(line, []byte("-ERR"))) {
			// The line before was the greeting, and this one is the reply.
			c.lines.trace("S", string(line))
			maybeGreeting, caps.Known = false, line[0] == '+'
			return caps.Known
		}
		maybeGreeting = false
		if long != nil {
			c.fail(&ProtocolError{Command: "CAPA", Line: long.Line, Reason: long.Reason})
			return false
		}
		c.lines.trace("S", string(line))
		caps.add(string(line))
		return true
	})
	if err != nil {
		return Capabilities{}, err
	}
	c.learn(caps)
	return caps, nil
}

// Essentials returns the lines of the capabilities that matter to this package: those
// worth remembering for Credentials.Expected. It leaves out what the server has added,
// which may be a password.
func (c Capabilities) Essentials() (lines []string) {
	known := Methods()
	for _, e := range c.list {
		switch {
		case slices.Contains([]string{"PIPELINING", "TOP", "UIDL", "USER"}, e.name):
			lines = append(lines, e.name)
		case e.name == "SASL":
			line := e.name
			for _, mechanism := range e.params {
				if slices.Contains(known, strings.ToLower(mechanism)) {
					line += " " + mechanism
				}
			}
			lines = append(lines, line)
		case e.forUser():
			lines = append(lines, e.name+" USER") // the value comes after the login
		}
	}
	return lines
}

// perUser names the capabilities whose value before the login may be for another user: they
// have the parameter USER then. RFC 2449 sections 6.5 and 6.7
func perUser(name string) bool { return name == "LOGIN-DELAY" || name == "EXPIRE" }

// forUser reports whether the value for the user is known only after the login.
func (c Capabilities) forUser() bool {
	return slices.ContainsFunc(c.list, capability.forUser)
}

func (e capability) forUser() bool {
	return perUser(e.name) && slices.ContainsFunc(e.params, func(p string) bool { return strings.EqualFold(p, "USER") })
}

func (c *Client) learn(caps Capabilities) {
	c.caps = caps
	if c.state == Transaction {
		c.offer.After = caps
	} else {
		c.offer.Before = caps
	}
}

// Offer returns what the server has announced in this session, for
// Credentials.Expected of the next one.
func (c *Client) Offer() Offer { return c.offer }

// Capabilities returns what the last Capa said; the zero value before it, and
// again after TLS has begun.
func (c *Client) Capabilities() Capabilities { return c.caps }

// add takes one line. A capability that comes twice has the parameters of both.
func (c *Capabilities) add(line string) {
	words := strings.FieldsFunc(line, isBlank)
	if len(words) == 0 {
		return
	}
	name := strings.ToUpper(words[0])
	for i := range c.list {
		if c.list[i].name == name {
			c.list[i].params = append(c.list[i].params, words[1:]...)
			return
		}
	}
	c.list = append(c.list, capability{name: name, params: words[1:]})
}

func (c Capabilities) find(name string) (capability, bool) {
	for _, e := range c.list {
		if strings.EqualFold(e.name, name) {
			return e, true
		}
	}
	return capability{}, false
}

// Has reports whether a capability is announced. Case does not matter.
func (c Capabilities) Has(name string) bool {
	_, ok := c.find(name)
	return ok
}

// Params returns the parameters of a capability as the server wrote them.
func (c Capabilities) Params(name string) []string {
	e, _ := c.find(name)
	return slices.Clone(e.params)
}

// Names returns the capabilities in upper case, in the order of the server.
func (c Capabilities) Names() []string {
	names := make([]string, 0, len(c.list))
	for _, e := range c.list {
		names = append(names, e.name)
	}
	return names
}

// sasl reports whether a SASL mechanism is announced. RFC 5034 section 3
func (c Capabilities) sasl(mechanism string) bool {
	e, _ := c.find("SASL")
	return slices.ContainsFunc(e.params, func(p string) bool { return strings.EqualFold(p, mechanism) })
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' }
