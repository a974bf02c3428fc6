package mailbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"popfetch/deliver"
	"popfetch/internal/imap"
	"popfetch/internal/login"
)

// connection is one session with the server, and what is known of its folders. Calls of
// Prepare, Publish, Recover and Check use it, one at a time.
type connection struct {
	client  *imap.Client
	folders map[string]*folder // by name in the configuration
	used    time.Time          // when the server answered last
}

// folder is a folder of a connection.
type folder struct {
	name   string // as the server writes it
	status imap.Status
	stale  bool // status may be from before messages that were stored since
}

// connected returns the open connection, or opens one. Errors are of scope Place.
func (m *Mailbox) connected(ctx context.Context) (*connection, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open != nil {
		return m.open, nil
	}
	c, err := m.Connect(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, m.unreachable(err)
	}
	m.open = &connection{client: c, folders: make(map[string]*folder), used: time.Now()}
	m.reached.Store(true)
	return m.open, nil
}

// unreachable returns the error for a server that cannot be used.
func (m *Mailbox) unreachable(err error) error {
	var denied *login.Error
	switch {
	case errors.Is(err, deliver.ErrLogin):
		return m.fail(deliver.Place, false, "", err)
	case errors.As(err, &denied) && !denied.Passing():
		return m.fail(deliver.Place, false, "", fmt.Errorf("%w: %w", deliver.ErrLogin, err))
	}
	return m.fail(deliver.Place, true, "", err)
}

// isOpen reports whether there is a connection.
func (m *Mailbox) isOpen() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open != nil
}

// use calls fn with the open connection, which ends with ctx. A connection that has failed
// is closed. The error is that of fn, or of scope Place.
func (m *Mailbox) use(ctx context.Context, fn func(*connection) error) error {
	if ctx.Err() != nil {
		return m.fail(deliver.Place, true, "", context.Cause(ctx))
	}
	c, err := m.connected(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, c.client.Interrupt)
	err = fn(c)
	c.used = time.Now()
	if !stop() || c.client.Failed() {
		m.drop(c)
	}
	if err != nil && ctx.Err() != nil {
		return m.fail(deliver.Place, true, "", context.Cause(ctx))
	}
	return err
}

// idle is how long after the last answer a server may have closed the connection.
const idle = 10 * time.Second

// doubtIdle has the server asked about its folders again if nothing has happened on the
// connection for a while: so a connection that is gone is noticed before messages are sent.
func (m *Mailbox) doubtIdle() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open == nil || time.Since(m.open.used) <= idle {
		return
	}
	for _, f := range m.open.folders {
		f.stale = true
	}
}

// drop closes a connection at once.
func (m *Mailbox) drop(c *connection) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.client.Close()
	if m.open == c {
		m.open = nil
	}
}

// folder returns a folder of the configuration, which it makes if it is missing. Errors are
// of scope Place.
func (m *Mailbox) folder(ctx context.Context, configured string) (*folder, error) {
	var f *folder
	err := m.use(ctx, func(c *connection) (err error) {
		if f = c.folders[configured]; f != nil && !f.stale {
			return nil
		}
		f, err = find(c.client, configured)
		if err == nil && !f.exists() {
			err = m.create(c.client, f, configured)
		}
		if err == nil {
			c.folders[configured] = f
		}
		return err
	})
	var place *deliver.Error
	switch {
	case err == nil, errors.As(err, &place):
		return f, err
	case errors.Is(err, errNoUIDs):
		return nil, m.fail(deliver.Place, false, "", err)
	case errors.As(err, new(*imap.Refusal)):
		return nil, m.fail(deliver.Place, passing(err), "does the key folder name it as the server does, with its separator?", fmt.Errorf("folder %q: %w", configured, err))
	}
	return nil, m.fail(deliver.Place, true, "", err)
}

var errNoUIDs = errors.New("the server gives no UIDVALIDITY and UIDNEXT for the folder, without which a message cannot be found again after a crash")

// exists reports whether the folder is there.
func (f *folder) exists() bool { return f.status.UIDValidity != 0 }

// isUse reports whether a name of the configuration is a special use.
func isUse(name string) bool { return strings.HasPrefix(name, `\`) }

// find asks for a folder. One that does not exist has the name that it would get.
func find(c *imap.Client, configured string) (*folder, error) {
	f := &folder{name: c.Name(strings.TrimPrefix(configured, `\`))}
	if isUse(configured) {
		name, err := c.SpecialUse(configured)
		if err != nil {
			return nil, err
		}
		if name != "" {
			f.name = name
		}
	}
	err := f.ask(c)
	if errors.As(err, new(*imap.Refusal)) && !passing(err) {
		return f, nil // missing, as far as anybody can tell; CREATE says more
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// ask asks for the state of the folder.
func (f *folder) ask(c *imap.Client) error {
	known := func(s imap.Status) bool { return s.UIDNext != 0 && s.UIDValidity != 0 }
	status, err := c.Status(f.name)
	if err != nil {
		return err
	}
	if !known(status) {
		limit := status.AppendLimit
		if status, err = c.Examine(f.name); err != nil {
			return err
		}
		status.AppendLimit = limit
	}
	if !known(status) { // RFC 9051 section 2.3.1.1
		return errNoUIDs
	}
	f.status = status
	return nil
}

// passing reports whether a refusal is about the moment.
func passing(err error) bool {
	var refused *imap.Refusal
	return errors.As(err, &refused) && refused.Passing()
}

// create makes a folder, and asks for its state.
func (m *Mailbox) create(c *imap.Client, f *folder, configured string) error {
	use := ""
	if isUse(configured) {
		use = configured
	}
	if err := c.Create(f.name, use); err != nil {
		return err
	}
	m.log().Info("made a folder", "server", m.Server, "folder", f.name)
	if err := c.Subscribe(f.name); err != nil && !errors.As(err, new(*imap.Refusal)) {
		return err
	}
	return f.ask(c)
}

// append stores messages on the open connection. The error is of scope Place; without one
// there is a result for each message.
func (m *Mailbox) append(ctx context.Context, messages []imap.Append) ([]imap.Appended, error) {
	var results []imap.Appended
	err := m.use(ctx, func(c *connection) error {
		results = c.client.Append(messages)
		c.advance(messages, results)
		for _, r := range results {
			if r.Err != nil && !errors.As(r.Err, new(*imap.Refusal)) || r.Sent {
				return r.Err
			}
		}
		return nil
	})
	if results == nil {
		return nil, err
	}
	return results, nil
}

// advance notes what the results tell of the folders, so that STATUS need not be asked again.
func (c *connection) advance(messages []imap.Append, results []imap.Appended) {
	for _, f := range c.folders {
		for i, r := range results {
			if messages[i].Folder != f.name {
				continue
			}
			if r.Err == nil && r.UID != 0 && r.UIDValidity == f.status.UIDValidity {
				f.status.UIDNext = max(f.status.UIDNext, r.UID+1)
			} else {
				f.stale = true
			}
		}
	}
}

// Found is what Check has found out.
type Found struct {
	Folder     string // as the server writes it
	Exists     bool   // otherwise the first message makes it
	SpamFolder string // "" = none
	Limit      uint64 // octets of the largest message, 0 = not known
}

// Check connects, logs in and looks for the folders. It changes nothing. It leaves the
// connection open, see Close.
func (m *Mailbox) Check(ctx context.Context) (Found, error) {
	var found Found
	err := m.use(ctx, func(c *connection) error {
		f, err := find(c.client, m.Folder)
		if err != nil {
			return err
		}
		found = Found{Folder: f.name, Exists: f.exists(), Limit: f.status.AppendLimit}
		if m.SpamFolder != "" {
			f, err = find(c.client, m.SpamFolder)
			if err == nil {
				found.SpamFolder = f.name
			}
		}
		return err
	})
	var place *deliver.Error
	if err != nil && !errors.As(err, &place) {
		err = m.fail(deliver.Place, passing(err), "", err)
	}
	return found, err
}
