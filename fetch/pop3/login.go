package pop3

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"github.com/emersion/go-sasl"

	"popfetch/internal/mechanism"
)

// Credentials are what a login needs.
type Credentials struct {
	User, Password string
	// Token is an OAuth 2.0 access token, "" = none. Only xoauth2 and oauthbearer send
	// it, and they send nothing else. With Token and without Password no other method
	// is possible.
	Token string
	// Ticket is the mechanism GSSAPI for one login, with a method Done as Auth describes;
	// nil = gssapi is not possible.
	Ticket sasl.Client
	// Methods names the methods that may be used, see Methods. Login takes the
	// first that the server offers. nil leaves the choice to the client, which
	// never takes APOP, and sends no token in clear text. "none" alone is right for a
	// session that has Begun, see Options, and for no other.
	Methods []string
	// Expected is what Client.Offer returned in an earlier session with the
	// server over the same kind of connection. If the server announced PIPELINING
	// then, CAPA, the login and Next go out in one flight, and the reply to CAPA
	// shows whether that still holds.
	Expected Offer
	// Next names the commands that the caller calls right after the login, in
	// this order: STAT, LIST and UIDL are possible. They share a flight if the
	// server announces PIPELINING; it is that of the login if Expected has
	// PIPELINING too, and the one after it otherwise.
	Next []string
	// Patient waits for each reply up to the login's, whatever Expected has.
	Patient bool
	// WithoutCapa takes the server for one that does not know CAPA, see *CapaError.
	WithoutCapa bool
}

// Methods returns the names of all login methods.
func Methods() []string {
	return slices.Concat([]string{"plain", "user", "login", "cram-md5", "apop", "external", "gssapi"}, mechanism.Bearers(), mechanism.Scrams())
}

// possible reports whether there is what a method sends or proves.
func (c *Client) possible(method string, cred Credentials) bool {
	switch {
	case slices.Contains(mechanism.Bearers(), method):
		return cred.Token != ""
	case method == "gssapi":
		return cred.Ticket != nil
	case method == "external":
		return c.tls != nil && c.opts.TLS != nil && (len(c.opts.TLS.Certificates) > 0 || c.opts.TLS.GetClientCertificate != nil)
	case strings.HasSuffix(method, "-plus") && c.tls == nil:
		return false
	}
	return cred.Password != "" || cred.Token == ""
}

// hidden reports whether a server with these capabilities takes the password without that
// it crosses the network.
func (cred Credentials) hidden(caps Capabilities) bool {
	return slices.ContainsFunc(cred.automatic(false), func(m string) bool { return !showsSecret(m) && caps.sasl(m) })
}

// automatic returns the methods to try if the user has named none. SCRAM without a channel
// binding comes first, also over TLS and though it takes a round trip more than PLAIN:
// a server that poses as the right one, with a certificate that is trusted, does not get
// the password. Without TLS, CRAM-MD5 comes next, which does not show the password
// either, and a token is not sent at all (RFC 6750 section 5.3). APOP is not among them,
// because its use of MD5 can be attacked (CVE-2007-1558), nor EXTERNAL and GSSAPI: a
// certificate may be demanded in addition to a password, and a ticket costs a request to
// the KDC.
func (cred Credentials) automatic(private bool) []string {
	switch {
	case cred.Token != "" && private:
		return mechanism.Bearers()
	case cred.Token != "":
		return nil
	case private:
		return append(mechanism.UnboundScrams(), "plain", "user", "login", "cram-md5")
	}
	return append(mechanism.UnboundScrams(), "cram-md5", "plain", "user", "login")
}

// Login enters TRANSACTION and returns the method used. It asks for the
// capabilities if they are not known, takes the first method that the server
// offers, and tries no other after a refusal: some servers lock an account after
// a few. If UIDL, TOP or PIPELINING is not announced, it asks once more after the
// login.
//
// An *AuthError leaves the client in state AUTHORIZATION, and in step unless more had been
// sent behind a login by SCRAM or with a token. A user or password with CR,
// LF or NUL is an *AuthError too, and nothing is sent. An *AheadError, from Login or
// from the first calls after it, means that a session with Patient may succeed; a *CapaError is about
// WithoutCapa.
func (c *Client) Login(cred Credentials) (method string, err error) {
	if c.opts.Begun {
		return "none", c.start(cred.Next)
	}
	if err := c.enter("log in", Authorization); err != nil {
		return "", err
	}
	if err := cred.check(); err != nil {
		return "", err
	}
	c.lines.secrets.Add(cred.Password)
	c.lines.secrets.Add(cred.Token)
	// RFC 2449 section 6.6 has PIPELINING in both states. A server that has
	// not been visited before may announce it and still lose what arrives
	// together with the login (Courier, Cyrus), so the first visit waits.
	ahead := c.opts.Pipelining == PipelineAuto && !cred.Patient && !cred.WithoutCapa
	again := ahead && cred.Expected.pipelining()
	if again && !c.caps.Asked && cred.Expected.Before.Has("PIPELINING") {
		method, err := c.choose(cred, cred.Expected.Before)
		// In clear text the secret is shown only after today's CAPA has
		// said that the server offers nothing better.
		if err == nil && (c.tls != nil || !showsSecret(method)) {
			return method, c.loginAhead(method, cred)
		}
	}
	switch {
	case cred.WithoutCapa:
		c.learn(Capabilities{Asked: true})
	case !c.caps.Asked:
		if _, err := c.Capa(); err != nil {
			return "", err
		}
	}
	method, err = c.choose(cred, c.caps)
	if err != nil {
		return "", &AuthError{User: cred.User, Err: err}
	}
	if c.tls == nil && cred.Methods == nil && showsSecret(method) && cred.hidden(cred.Expected.Before) {
		return "", &AuthError{User: cred.User, Err: ErrWeaker}
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

// start takes the place of a login in a session that has begun.
func (c *Client) start(next []string) error {
	if err := c.enter("log in", Transaction); err != nil {
		return err
	}
	if c.Pipelined() {
		c.askAhead(next...)
	}
	return nil
}

// loginAhead sends CAPA, the login and what comes next in one flight, as an earlier
// session has shown that it can be done; the reply to CAPA shows what holds today.
// After a refusal it tries no other method, even if CAPA no longer has this one: it may
// have been the password that was refused.
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
	// begin queues the first line, with ahead also those that need no reply to it.
	// It reports whether that is all that the client has to send.
	begin(c *Client, ahead bool) (all bool, err error)
	// end reads the replies and sends the rest. If it knows that a line is the last
	// one, it calls last once that line is queued.
	end(c *Client, last func()) error
}

// converse logs in. With ahead, the commands in next go out with the last line of the
// login, if d knows which one that is. between, if not nil, reads the replies to what
// was queued before the login.
func (c *Client) converse(d dialog, ahead bool, next []string, between func() error) error {
	last := func() {
		// Today's capabilities count as soon as they are known.
		if ahead && (!c.caps.Asked || c.Pipelined()) {
			c.askAhead(next...)
			c.aheadLeft = len(c.queued)
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
	c.lines.secrets.Accepted()
	c.handover = len(c.unclaimed) > 0
	return nil
}

// showsSecret reports whether a method sends the password or the token itself.
func showsSecret(method string) bool {
	return !slices.Contains(append(mechanism.Scrams(), "cram-md5", "apop", "external", "gssapi"), method)
}

// dialogOf returns the dialog of a method that choose has returned.
func (c *Client) dialogOf(method string, cred Credentials, caps Capabilities) dialog {
	switch method {
	case "user":
		return &userPass{user: cred.User, password: cred.Password, offered: caps.Has("USER")}
	case "apop":
		return &apop{user: cred.User, secret: cred.Password}
	case "login":
		return &exchange{m: mechanism.NewLogin(cred.User, cred.Password), user: cred.User}
	case "cram-md5":
		return &exchange{m: mechanism.NewCramMD5(cred.User, cred.Password), user: cred.User}
	case "xoauth2", "oauthbearer":
		return c.newBearer(method, cred)
	case "gssapi":
		return &exchange{m: cred.Ticket, user: cred.User}
	case "external":
		return &exchange{m: sasl.NewExternalClient(cred.User), single: true, user: cred.User}
	}
	if slices.Contains(mechanism.Scrams(), method) {
		return &exchange{
			m:     mechanism.NewScram(method, cred.User, cred.Password, c.tlsState(), caps.Known && !caps.sasl(mechanism.Bound(method))),
			early: c.opts.Pipelining == PipelineAuto && !cred.Patient && cred.Expected.pipelining(), user: cred.User,
		}
	}
	return &exchange{m: sasl.NewPlainClient("", cred.User, cred.Password), single: true, user: cred.User}
}

// afterLogin returns the commands to send after the login: CAPA unless caps is complete,
// and next.
func (c *Client) afterLogin(caps Capabilities, next []string) []string {
	if c.complete(caps) {
		return next
	}
	return append([]string{"CAPA"}, next...)
}

// afterwards learns the capabilities after the login, if it has to, and sends what comes
// next if the server announces PIPELINING. With ahead it sends both at once if the
// server did so in an earlier session.
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

// askAgain asks for the capabilities after the login: some servers announce all of them
// only then.
func (c *Client) askAgain() error {
	before := c.caps
	if c.complete(before) || !before.Known {
		return nil
	}
	after, err := c.Capa()
	if err == nil && !after.Known {
		c.caps = before // the server knows CAPA before the login alone
	}
	return err
}

// complete reports whether caps has all that matters after the login.
func (c *Client) complete(caps Capabilities) bool {
	return !caps.forUser() && caps.Has("UIDL") && caps.Has("TOP") && (caps.Has("PIPELINING") || c.opts.Pipelining == PipelineOff)
}

// tlsState returns the state of TLS, nil in clear text.
func (c *Client) tlsState() *tls.ConnectionState {
	if state, ok := c.TLS(); ok {
		return &state
	}
	return nil
}

// choose returns the first method that may be used, that the credentials allow, and that
// the server offers.
func (c *Client) choose(cred Credentials, caps Capabilities) (string, error) {
	names := cred.automatic(c.tls != nil)
	if cred.Methods != nil {
		names = nil
		for _, m := range cred.Methods {
			names = append(names, strings.ToLower(m))
		}
	} else if len(names) == 0 {
		return "", ErrClearToken
	}
	for _, m := range names {
		if !slices.Contains(Methods(), m) {
			return "", fmt.Errorf("unknown login method %s", quote(m))
		}
	}
	names = slices.DeleteFunc(names, func(m string) bool { return !c.possible(m, cred) })
	for _, m := range names {
		if !c.offers(m, caps) {
			continue
		}
		if !strings.HasSuffix(m, "-plus") {
			return m, nil
		}
		if mechanism.CanBind(c.tlsState()) {
			return m, nil
		}
	}
	// Without CAPA nobody knows which mechanisms there are.
	if !caps.Known {
		if i := slices.IndexFunc(names, func(m string) bool { return m != "apop" }); i >= 0 {
			return names[i], nil
		}
	}
	return "", &MethodError{Allowed: names, Offered: c.offered(caps)}
}

// offers reports whether the server is known to accept a method: "user" unless it
// announces SASL and not USER.
func (c *Client) offers(method string, caps Capabilities) bool {
	switch method {
	case "user":
		return caps.Has("USER") || !caps.Has("SASL")
	case "apop":
		return c.timestamp != ""
	}
	return caps.sasl(method)
}

// offered returns MethodError.Offered.
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
	c.lines.secrets.Add(password)
	return c.converse(&userPass{user: user, password: password}, false, nil, nil)
}

// userPass is the login with USER and PASS. RFC 1939 section 7
type userPass struct {
	user, password string
	offered        bool // the server announces USER; otherwise it may refuse USER, and then must not see PASS
	whole          bool // PASS was sent with USER
}

func (d *userPass) begin(c *Client, ahead bool) (all bool, err error) {
	c.queue("USER", "USER "+d.user, "USER "+d.user)
	if d.whole = ahead && d.offered; d.whole {
		d.pass(c)
	}
	return d.whole, nil
}

// closedByServer reports whether a read or a write found that the server had closed the
// connection.
func closedByServer(err error) bool {
	return slices.ContainsFunc([]error{io.ErrUnexpectedEOF, io.ErrClosedPipe, syscall.EPIPE, syscall.ECONNRESET},
		func(closed error) bool { return errors.Is(err, closed) })
}

func (d *userPass) pass(c *Client) { c.queue("PASS", "PASS "+d.password, "PASS ***") }

func (d *userPass) end(c *Client, last func()) error {
	_, err := c.status()
	switch {
	case c.broken != nil && !d.whole && c.caps.Asked && !c.caps.Known && closedByServer(err):
		return &CapaError{err}
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

// refusedLogin wraps a *ResponseError in an *AuthError.
func refusedLogin(method, user string, err error) error {
	var refused *ResponseError
	if errors.As(err, &refused) {
		return &AuthError{Method: method, User: user, Err: err}
	}
	return err
}

// check refuses what would end a command line early.
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
