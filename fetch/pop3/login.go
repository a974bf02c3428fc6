package pop3

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"
)

// Credentials are what a login needs.
type Credentials struct {
	User, Password string
	// Methods are the methods that may be used, see Methods: the first that
	// the server offers is. nil leaves the choice to the client, which never
	// takes APOP.
	Methods []string
	// Expected is what Offer has told of an earlier session with the server in
	// the same way, with TLS or without. Where the server took several commands
	// at once, CAPA, the login and Next then go out in one flight, and the reply
	// to CAPA shows whether it is still so.
	Expected Offer
	// Next are the commands that are called right after the login, in this
	// order: STAT, LIST and UIDL may stand here. They are sent in one flight
	// where the server announces PIPELINING: together with the login where
	// Expected says that it did so before, else once the login is accepted.
	Next []string
	// Patient sends nothing together with the login or before it is accepted,
	// whatever Expected says.
	Patient bool
}

// Methods returns the names of all login methods.
func Methods() []string { return []string{"plain", "user", "login", "cram-md5", "apop"} }

// automatic is the order where the user has chosen none. Where others can
// listen, what does not show the password comes first. APOP is not in it: its
// MD5 can be attacked (CVE-2007-1558).
func automatic(private bool) []string {
	if private {
		return []string{"plain", "user", "login", "cram-md5"}
	}
	return []string{"cram-md5", "plain", "user", "login"}
}

// Login enters TRANSACTION and returns the method used. It asks for the
// capabilities if they are not known, takes the first method that the server
// offers, and tries no other after a refusal, since some servers lock accounts
// after a few. Where UIDL, TOP or PIPELINING was not announced it asks again
// after the login.
//
// An *AuthError leaves the client in state AUTHORIZATION. Nothing is sent for a
// user or password that holds CR, LF or NUL. An *AheadError, from here or from the
// first calls after it, is a session that broke where a patient one might not.
func (c *Client) Login(cred Credentials) (method string, err error) {
	if err := c.enter("log in", Authorization); err != nil {
		return "", err
	}
	if err := cred.check(); err != nil {
		return "", err
	}
	c.lines.secrets.add(cred.Password)
	// RFC 2449 section 6.6 has PIPELINING in both states. A server that has
	// not been visited before may announce it and still lose what arrives
	// together with the login (Courier, Cyrus), so the first visit waits.
	ahead := c.opts.Pipelining == PipelineAuto && !cred.Patient
	again := ahead && cred.Expected.pipelining()
	if again && !c.caps.Asked && cred.Expected.Before.Has("PIPELINING") {
		method, err := c.choose(cred.Methods, cred.Expected.Before)
		// In clear text the password is shown only after today's CAPA has
		// said that the server offers nothing better.
		if err == nil && (c.tls != nil || !showsPassword(method)) {
			return method, c.loginAhead(method, cred)
		}
	}
	if !c.caps.Asked {
		if _, err := c.Capa(); err != nil {
			return "", err
		}
	}
	method, err = c.choose(cred.Methods, c.caps)
	if err != nil {
		return "", &AuthError{User: cred.User, Err: err}
	}
	var next []string
	if again {
		next = c.afterLogin(c.caps, cred.Next)
	}
	if err := c.converse(c.dialogOf(method, cred, c.caps), ahead && c.Pipelined(), next, nil); err != nil {
		return method, err
	}
	return method, c.afterwards(cred, again)
}

// rely logs in on the word of an earlier session: CAPA, the login and what comes next
// share a flight. The reply to CAPA tells what holds today. No other method is tried
// after a refusal, although it may only mean that this one has gone: nobody knows.
func (c *Client) loginAhead(method string, cred Credentials) error {
	known := cred.Expected.Before
	c.askAhead("CAPA")
	err := c.converse(c.dialogOf(method, cred, known), true, c.afterLogin(known, cred.Next), func() error {
		_, err := c.Capa()
		return err
	})
	var refused *AuthError
	switch {
	case err == nil:
		return c.afterwards(cred, true)
	case errors.As(err, &refused) && c.caps.Known && !c.offers(method, c.caps):
		refused.Err = fmt.Errorf("%w (the server offered this method to an earlier session and does not now; the next one asks first)", refused.Err)
	}
	return err
}

// dialog is the login by one method, in two halves.
type dialog interface {
	// begin queues the first word, with ahead also what can be said before the
	// answer to it. It returns whether that is all there is to say.
	begin(c *Client, ahead bool) (all bool, err error)
	// end reads the answers and says the rest. Where it knows which word is the
	// last one, it calls last when that is queued and not answered yet.
	end(c *Client, last func()) error
}

// talk logs in. With ahead, next goes out with the last word where d knows which that
// is. between, if not nil, reads what was asked before the first word.
func (c *Client) converse(d dialog, ahead bool, next []string, between func() error) error {
	last := func() {
		// Today's capabilities count as soon as they are known.
		if ahead && (!c.caps.Asked || c.Pipelined()) {
			c.askAhead(next...)
			c.aheadLeft += len(next)
		}
	}
	all, err := d.begin(c, ahead)
	if err != nil {
		return err
	}
	if all {
		last()
	}
	if ahead {
		c.watchAhead()
	}
	if between != nil {
		if err := between(); err != nil {
			return err
		}
	}
	if err := d.end(c, last); err != nil {
		return err
	}
	c.state = Transaction
	c.lines.secrets.accepted()
	c.handover = c.aheadLeft > 0
	return nil
}

// showsPassword reports whether a method sends the password itself.
func showsPassword(method string) bool { return method != "cram-md5" && method != "apop" }

// dialogOf returns the login by a method that choose has chosen.
func (c *Client) dialogOf(method string, cred Credentials, caps Capabilities) dialog {
	switch method {
	case "user":
		return &userPass{user: cred.User, password: cred.Password, offered: caps.Has("USER")}
	case "apop":
		return &apop{user: cred.User, secret: cred.Password}
	case "login":
		return &exchange{m: sasl.NewLoginClient(cred.User, cred.Password), user: cred.User}
	case "cram-md5":
		return &exchange{m: &cramMD5{user: cred.User, secret: cred.Password}, user: cred.User}
	}
	return &exchange{m: sasl.NewPlainClient("", cred.User, cred.Password), single: true, user: cred.User}
}

// afterLogin is what is asked after a login: CAPA where it has more to tell then, and
// next.
func (c *Client) afterLogin(caps Capabilities, next []string) []string {
	if c.complete(caps) {
		return next
	}
	return append([]string{"CAPA"}, next...)
}

// follow makes sure after the login that the capabilities are known, and that what
// comes next is on its way where the server takes several commands at once. With ahead
// it believes an earlier session that it does.
func (c *Client) afterwards(cred Credentials, ahead bool) error {
	if ahead && len(c.unclaimed) == 0 && !c.complete(c.caps) && cred.Expected.After.Has("PIPELINING") {
		c.askAhead(c.afterLogin(c.caps, cred.Next)...)
		c.watchAhead()
	}
	if err := c.askAgain(); err != nil {
		return err
	}
	if len(c.unclaimed) == 0 && c.Pipelined() {
		c.askAhead(cred.Next...)
	}
	return nil
}

// askAgain asks for the capabilities after the login, where some servers first
// tell them all.
func (c *Client) askAgain() error {
	before := c.caps
	if c.complete(before) || !before.Known {
		return nil
	}
	after, err := c.Capa()
	if err == nil && !after.Known {
		c.caps = before // asked in the wrong state, for this server
	}
	return err
}

// complete says whether capabilities have all that counts after the login.
func (c *Client) complete(caps Capabilities) bool {
	return caps.Has("UIDL") && caps.Has("TOP") && (caps.Has("PIPELINING") || c.opts.Pipelining == PipelineOff)
}

// choose picks the method from what is offered.
func (c *Client) choose(methods []string, caps Capabilities) (string, error) {
	names := automatic(c.tls != nil)
	if methods != nil {
		names = nil
		for _, m := range methods {
			names = append(names, strings.ToLower(m))
		}
	}
	for _, m := range names {
		if !slices.Contains(Methods(), m) {
			return "", fmt.Errorf("unknown login method %s", quote(m))
		}
	}
	if i := slices.IndexFunc(names, func(m string) bool { return c.offers(m, caps) }); i >= 0 {
		return names[i], nil
	}
	// Without CAPA nothing says that a mechanism is missing.
	if !caps.Known {
		if i := slices.IndexFunc(names, func(m string) bool { return m != "apop" }); i >= 0 {
			return names[i], nil
		}
	}
	return "", &MethodError{Allowed: names, Offered: c.offered(caps)}
}

// offers says whether the server is known to take a method. USER and PASS are
// what every server has that says nothing.
func (c *Client) offers(method string, caps Capabilities) bool {
	switch method {
	case "user":
		return caps.Has("USER") || !caps.Has("SASL")
	case "apop":
		return c.timestamp != ""
	}
	return caps.sasl(method)
}

// offered lists what the server offers, see MethodError.
func (c *Client) offered(caps Capabilities) []string {
	var list []string
	if caps.Has("USER") {
		list = append(list, "USER")
	}
	for _, m := range caps.Params("SASL") {
		list = append(list, "SASL "+c.lines.secrets.conceal(m))
	}
	if c.timestamp != "" {
		list = append(list, "APOP")
	}
	return list
}

// UserPass logs in with USER and PASS; errors are those of Login.
func (c *Client) UserPass(user, password string) error {
	if err := c.enter("USER", Authorization); err != nil {
		return err
	}
	if err := (Credentials{User: user, Password: password}).check(); err != nil {
		return err
	}
	c.lines.secrets.add(password)
	return c.converse(&userPass{user: user, password: password}, false, nil, nil)
}

// userPass is the login with USER and PASS. RFC 1939 section 7
type userPass struct {
	user, password string
	offered        bool // USER is: otherwise it may be refused, and PASS is not to be sent then
	whole          bool // PASS was sent with USER
}

func (d *userPass) begin(c *Client, ahead bool) (all bool, err error) {
	c.queue("USER", "USER "+d.user, "USER "+d.user)
	if d.whole = ahead && d.offered; d.whole {
		d.pass(c)
	}
	return d.whole, nil
}

func (d *userPass) pass(c *Client) { c.queue("PASS", "PASS "+d.password, "PASS ***") }

func (d *userPass) end(c *Client, last func()) error {
	_, err := c.status()
	switch {
	case c.broken != nil:
		return err
	case d.whole:
		_, passed := c.status()
		if c.broken != nil {
			return passed
		}
		err = cmp.Or(err, passed)
	case err == nil:
		d.pass(c)
		last()
		_, err = c.status()
	}
	return refusedLogin("user", d.user, err)
}

// refusedLogin makes an *AuthError of a *ResponseError.
func refusedLogin(method, user string, err error) error {
	var refused *ResponseError
	if errors.As(err, &refused) {
		return &AuthError{Method: method, User: user, Err: err}
	}
	return err
}

// check refuses what would end or cut a line.
func (cred Credentials) check() error {
	switch {
	case cred.User == "":
		return &AuthError{Err: errors.New("the user name is empty")}
	case strings.ContainsAny(cred.User, "\r\n\x00"):
		return &AuthError{User: cred.User, Err: errors.New("the user name contains CR, LF or NUL")}
	case strings.ContainsAny(cred.Password, "\r\n\x00"):
		return &AuthError{User: cred.User, Err: errors.New("the password contains CR, LF or NUL")}
	}
	return nil
}
