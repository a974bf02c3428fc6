package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"popfetch/deliver"
	"popfetch/deliver/mailbox"
	"popfetch/deliver/maildir"
	"popfetch/deliver/mbox"
	"popfetch/deliver/mda"
	"popfetch/deliver/relay"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/internal/config"
	"popfetch/state"
)

// stateFile is the state file of a configuration.
func stateFile(cfg *config.Config) state.File { return state.File{Path: cfg.State, Wait: lockWait} }

// parallelSyncs is how many message files all polls together sync in parallel,
// in addition to those that each poll syncs itself, one at a time. Each takes a
// thread of the process while the disk works. More bring no gain, see
// bench/disk.md.
const parallelSyncs = 64

// listingRoom is how many octets the long listings of all polls take together.
const listingRoom = 48 << 20

// house assembles accounts from the configuration and an open state store. It
// is complete when it is made and does not change, but for what it remembers.
type house struct {
	*selection
	store state.Store
	known map[string]bool // keys of the maildrops in store when the run began
	begun sync.Map        // keys of maildrops that checkLostMailbox has found to begin in this run
	// configured returns the tags of all configured maildrops, and makes them once.
	configured func() map[string]bool
	log        *slog.Logger
	stamp      deliver.Stamp
	keep       bool // delete nothing, whatever the configuration says
	syncs      *semaphore.Weighted
	room       *fetch.Room
	// maxOpen is how many files of messages each poll may keep open.
	maxOpen *atomic.Int64
}

// house returns the house for the selected accounts over an open store, which
// the caller closes.
func (p *program) house(s *selection, con *console, store state.Store, keep bool) (*house, error) {
	s.terminal.Using = con.progress.yield
	keys, err := store.Keys()
	if err != nil {
		return nil, &fetch.StateError{Err: err}
	}
	known := make(map[string]bool, len(keys))
	for _, key := range keys {
		known[key] = true
	}
	h := &house{
		selection:  s,
		store:      store,
		known:      known,
		configured: sync.OnceValue(func() map[string]bool { return configuredTags(s.config.Accounts) }),
		log:        con.log,
		stamp:      deliver.Stamp{Host: hostName(), Version: p.version},
		keep:       keep,
		syncs:      semaphore.NewWeighted(parallelSyncs),
		room:       fetch.NewRoom(listingRoom),
		maxOpen:    new(atomic.Int64),
	}
	h.shareDescriptors()
	return h, nil
}

// shareDescriptors puts the limit on open files in force, also for the accounts of an
// earlier house that share maxOpen.
func (h *house) shareDescriptors() { h.maxOpen.Store(int64(h.files)) }

// readOnly opens the state file as it is now for reading and calls fn for each chosen
// account that it knows or need not know, as selection.each does.
func (p *program) readOnly(ctx context.Context, s *selection, con *console, keep bool, fn func(h *house, a *config.Account, w io.Writer) error) error {
	store, err := view(ctx, s.config)
	if err != nil {
		return err
	}
	defer store.Close()
	h, err := p.house(s, con, store, keep)
	if err != nil {
		return err
	}
	return h.eachKnown(con, func(a *config.Account, w io.Writer) error { return fn(h, a, w) })
}

// eachKnown is selection.each for the accounts that the state file knows or need not know.
func (h *house) eachKnown(con *console, fn func(a *config.Account, w io.Writer) error) error {
	return h.each(con, func(a *config.Account, w io.Writer) error {
		if err := h.checkLost(a); err != nil {
			return &fetch.AccountError{Account: a.Name, Errs: []error{err}}
		}
		return fn(a, w)
	})
}

// account assembles what a poll of a needs. progress may be nil.
func (h *house) account(a *config.Account, progress fetch.Progress) *fetch.Account {
	key := maildropKey(a)
	log := h.log.With("account", a.Name)
	d := &connector{account: a, log: log, secret: h.secret(a)}
	idle := h.idleGrant(a, log)
	var remote *mailbox.Mailbox // for Recover, whose calls share what it has seen
	if a.IMAP.IsSet() {
		remote, _ = h.mailbox(a, log)
	}
	account := &fetch.Account{
		Name:     a.Name,
		User:     a.User,
		Host:     a.Host,
		Server:   strings.Join(a.Tunnel, "\x00"),
		Protocol: "POP3",
		Open: func(ctx context.Context, how fetch.Opening) (fetch.Session, error) {
			idle.keep(ctx)
			return d.open(ctx, how)
		},
		Destination: func(ctx context.Context) (deliver.Destination, error) {
			return h.destination(ctx, a, log)
		},
		Recover: func(ctx context.Context, i deliver.Intent) (deliver.Outcome, error) {
			return h.finishIntent(ctx, i, remote)
		},
		Maildrop: h.store.Maildrop(key),
		Key:      key,
		Policy:   h.policy(a),
		Room:     h.room,
		Interval: time.Duration(a.Interval),
		Deadline: time.Duration(a.Deadline),
		MinRate:  int64(a.MinRate),
		Log:      log,
		Progress: progress,
		Fallback: a.Pipelining == config.PipeliningAuto,
	}
	if a.TLS != config.TLSNone {
		account.Protocol = "POP3S"
	}
	if a.Received {
		account.Stamp = h.stamp.Received
	}
	return account
}

func (h *house) policy(a *config.Account) plan.Policy {
	return plan.Policy{
		Delete:      a.Keep.Delete && !h.keep,
		After:       time.Duration(a.Keep.After),
		MaxOctets:   int64(a.MaxSize),
		MaxMessages: a.MaxMessages,
	}
}

// destination opens where the mail of an account goes. In a Maildir it removes
// the unfinished files that an earlier run of the same account left behind:
// finishIntent has been called for those that matter.
func (h *house) destination(ctx context.Context, a *config.Account, log *slog.Logger) (deliver.Destination, error) {
	if len(a.MDA) > 0 {
		// Without the program nothing is worth a download.
		m := h.mda(a, log)
		return m, m.Check()
	}
	if a.MBox != "" {
		if err := h.checkLost(a); err != nil {
			return nil, err
		}
		m := h.mbox(a)
		return m, m.Open()
	}
	if a.LMTP.IsSet() || a.SMTP.IsSet() {
		r, _ := h.relay(a, log)
		return r, nil // it connects when there is mail
	}
	if a.IMAP.IsSet() {
		m, _ := h.mailbox(a, log)
		if err := h.checkLostMailbox(ctx, a, m); err != nil {
			m.Close()
			return nil, err
		}
		return m, nil // it connects when there is mail
	}
	if err := h.checkLost(a); err != nil {
		return nil, err
	}
	m := h.maildir(a, log)
	if err := m.Open(); err != nil {
		return nil, err
	}
	if err := m.Sweep(nil); err != nil {
		log.Warn("unfinished deliveries stay in tmp/", "reason", err)
	}
	return m, nil
}

func (h *house) mda(a *config.Account, log *slog.Logger) *mda.MDA {
	return &mda.MDA{
		Argv:    a.MDA,
		Timeout: time.Duration(a.MDATimeout),
		Spool:   filepath.Dir(h.config.State),
		Env:     os.Environ(),
		Log:     log,
	}
}

// maildir is the Maildir of an account, not opened yet.
func (h *house) maildir(a *config.Account, log *slog.Logger) *maildir.Maildir {
	key := maildropKey(a)
	return &maildir.Maildir{
		Path: a.Maildir, Owner: ownerTag(h.store.ID(), key), Host: h.stamp.Host, Log: log,
		MaxOpen: int(h.maxOpen.Load()), Syncs: h.syncs,
		Claim: maildir.Claim{Account: tag(key), Store: h.store.ID()},
	}
}

// mbox is the mbox file of an account, not opened yet.
func (h *house) mbox(a *config.Account) *mbox.Mbox {
	return &mbox.Mbox{
		Path: a.MBox, Owner: ownerTag(h.store.ID(), maildropKey(a)),
		Timeout: time.Duration(a.Timeout), Spool: filepath.Dir(h.config.State),
	}
}

// maildropKey is the key in the state of the maildrop of an account.
func maildropKey(a *config.Account) string { return state.Key(a.User, a.Host) }

// ownerTag marks the files of one account of one state file.
func ownerTag(storeID, key string) string { return tag(storeID + "\x00" + key) }

// tag is a short stand-in for a name, fit for file names: 16 hex digits of its
// digest.
func tag(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8])
}

// finishIntent hands an open intent to the kind of destination that made it,
// which need not be the kind that the account has now. remote is the mailbox of an account
// that delivers by IMAP, nil of any other.
func (h *house) finishIntent(ctx context.Context, i deliver.Intent, remote *mailbox.Mailbox) (deliver.Outcome, error) {
	switch i.Kind {
	case maildir.Kind:
		return maildir.Recover(ctx, i, time.Now())
	case mbox.Kind:
		return mbox.Recover(ctx, i, time.Now())
	case mda.Kind:
		return mda.Recover(ctx, i, time.Now())
	case relay.Kind, relay.KindSMTP:
		return relay.Recover(ctx, i, time.Now())
	case mailbox.Kind:
		if remote == nil {
			h.log.Warn("a delivery by IMAP was interrupted, and the account has another destination now: the message is fetched again")
			return deliver.Again, nil
		}
		return remote.Recover(ctx, i)
	}
	return 0, &fetch.StateError{Err: fmt.Errorf("the state file holds a delivery of an unknown kind %q", i.Kind)}
}
