package mailbox

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"popfetch/deliver"
	"popfetch/internal/imap"
)

const (
	// defaultQuiet is how long nothing of a group has to arrive before a message counts as
	// missing: a server goes on with what it has received after the connection is gone.
	defaultQuiet = 5 * time.Second
	// maxSettle is how long to wait for that in all, and how old an intent is for which
	// nobody waits any more.
	maxSettle = time.Minute
	// pause is the time between two looks.
	pause = 250 * time.Millisecond
	// maxSeen is how many messages of a folder a look compares.
	maxSeen = 200_000
	// latest is how many messages are looked at if nothing says where to look.
	latest = 1000
)

// look is the messages that a group may have left in a folder.
type look struct {
	seen []seen
	over bool // nothing more arrives
}

// seen is one message of the folder.
type seen struct {
	ids    []string // delivery ids
	header string
	like   string
	size   int64
}

// Recover decides what became of the message of an intent that this package has made. It
// uses the connection of m, which it closes.
func (m *Mailbox) Recover(ctx context.Context, i deliver.Intent) (deliver.Outcome, error) {
	var n note
	if err := i.Read(Kind, &n); err != nil || n.Folder == "" {
		return 0, m.fail(deliver.Place, false, "", fmt.Errorf("the state file holds a delivery that cannot be read: %q", i.Note))
	}
	if n.Server != m.Server || n.User != m.User {
		m.log().Warn("a delivery was interrupted, and the configuration has another mailbox now: the message is fetched again", "server", n.Server, "user", n.User)
		return deliver.Again, nil
	}
	defer m.Close()
	return m.recover(ctx, n, false)
}

// recover is Recover for a note of this mailbox. If the server has answered all commands of
// the group, one look is enough.
func (m *Mailbox) recover(ctx context.Context, n note, answered bool) (deliver.Outcome, error) {
	if m.looks == nil {
		m.looks = make(map[string]*look)
	}
	l := m.looks[n.Group+n.Folder]
	if l == nil {
		l = new(look)
		m.looks[n.Group+n.Folder] = l
	}
	if l.has(n) {
		return deliver.Published, nil
	}
	if err := m.settle(ctx, n, l, answered); err != nil {
		return 0, err
	}
	if l.has(n) {
		return deliver.Published, nil
	}
	// The messages of a group are sent in their order. The first one that is missing was in
	// hand; those behind it have nothing to do with the end.
	if n.Order > len(l.seen)+1 {
		return deliver.Behind, nil
	}
	return deliver.Again, nil
}

// forgetLook forgets what Recover has seen.
func (m *Mailbox) forgetLook() { m.looks = nil }

// settle looks until the message is there, or nothing more arrives.
func (m *Mailbox) settle(ctx context.Context, n note, l *look, answered bool) error {
	quiet := cmp.Or(m.quiet, defaultQuiet)
	if answered {
		quiet = 0
	}
	begun := time.Now()
	for last, count := begun, -1; !l.over && !l.has(n); {
		if err := m.lookAt(ctx, n, l); err != nil {
			var place *deliver.Error
			if errors.As(err, &place) {
				return err
			}
			return m.fail(deliver.Place, true, "", fmt.Errorf("look for a message whose delivery was interrupted: %w", err))
		}
		now := time.Now()
		if len(l.seen) != count {
			last, count = now, len(l.seen)
		}
		age := now.Sub(time.Unix(n.Time, 0))
		l.over = now.Sub(last) >= quiet || now.Sub(begun) >= maxSettle || age >= maxSettle
		if !l.over && !l.has(n) {
			if err := sleep(ctx, min(pause, quiet)); err != nil {
				return m.fail(deliver.Place, true, "", err)
			}
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// lookAt reads what is in the folder.
func (m *Mailbox) lookAt(ctx context.Context, n note, l *look) error {
	return m.use(ctx, func(open *connection) error {
		c := open.client
		l.seen = nil
		status, err := c.Examine(n.Folder)
		if err != nil {
			if gone(c, n.Folder, err) {
				return nil
			}
			return err
		}
		note := func(s imap.Message) {
			if len(l.seen) < maxSeen {
				l.seen = append(l.seen, m.see(s))
			}
		}
		switch {
		case status.UIDValidity == n.UIDValidity:
			return c.Headers(n.UIDNext, note)
		case n.MessageID != "":
			m.log().Warn("the folder was made anew: looking for the message by its Message-ID", "folder", n.Folder)
			return c.WithMessageID(n.MessageID, note)
		}
		m.log().Warn("the folder was made anew: looking for the message among the latest ones", "folder", n.Folder)
		return c.Headers(max(status.UIDNext, latest+1)-latest, note)
	})
}

// gone reports whether a folder that could not be opened does not exist any more. A bare
// refusal does not say so: Exchange and others give one while they are busy or restarting.
func gone(c *imap.Client, folder string, why error) bool {
	var refused *imap.Refusal
	if !errors.As(why, &refused) || refused.Passing() {
		return false
	}
	if refused.Code == "NONEXISTENT" { // RFC 5530 section 3
		return true
	}
	there, err := c.Exists(folder)
	return err == nil && !there
}

// see returns what is compared of a message.
func (m *Mailbox) see(s imap.Message) seen {
	block := s.Header
	own := seen{ids: deliveryIDs(block), header: digest(block), size: s.Size}
	if fingerprint, ok := m.identify(block); ok {
		own.like = hex.EncodeToString(fingerprint[:])
	}
	return own
}

// has reports whether the message of a note is among those that were seen. Messages that
// nothing tells apart are counted: the second copy is there if there are two.
func (l *look) has(n note) bool {
	if n.ID != "" {
		return slices.ContainsFunc(l.seen, func(s seen) bool { return slices.Contains(s.ids, n.ID) })
	}
	count := 0
	for _, s := range l.seen {
		if s.header == n.Header && s.size == n.Size || n.Like != "" && s.like == n.Like {
			count++
		}
	}
	return count >= n.Copy
}
