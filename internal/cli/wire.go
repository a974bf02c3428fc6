package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/semaphore"

	"popfetch/deliver"
	"popfetch/deliver/maildir"
	"popfetch/deliver/mda"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/internal/config"
	"popfetch/state"
)

// lockWait is how long another popfetch may take to give up the state file.
const lockWait = 2 * time.Second

// syncs is how many files of messages are synced in parallel by all polls together,
// beside those that each poll syncs itself, one at a time. Each holds a thread of
// the process while the disk works. More gain nothing, see bench/disk.md.
const syncs = 64

// house is what the commands that talk to servers share: the configuration, the
// chosen accounts, the state file and the log.
type house struct {
	config *config.Config
	chosen []*config.Account
	store  state.Store
	known  []string // keys of the maildrops in store when it was opened
	log    *slog.Logger
	stamp  deliver.Stamp
	keep   bool                // delete nothing, whatever the configuration says
	polls  int                 // at once, at most
	files  int                 // of messages that each poll may keep open
	syncs  *semaphore.Weighted // of files at once, in all Maildirs together
}

// load reads the configuration that the flags of c name and chooses accounts by
// its arguments.
func (p *program) load(c *cli.Context) (*house, error) {
	cfg, err := p.config(c)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(cfg, c.Args().Slice())
	if err != nil {
		return nil, err
	}
	polls, files := share(descriptors(), min(cfg.Parallel, len(chosen)))
	return &house{
		config: cfg,
		chosen: chosen,
		polls:  polls,
		files:  files,
		syncs:  semaphore.NewWeighted(syncs),
		log:    newLog(p.err, c.Bool("json"), level(c.Count("verbose"), c.Bool("quiet"))),
		stamp:  deliver.Stamp{Host: hostName(), Version: p.version},
	}, nil
}

func (p *program) config(c *cli.Context) (*config.Config, error) {
	file := c.String("config")
	if file == "" {
		file = config.DefaultPath()
	}
	cfg, err := config.Load(file, config.Options{CheckMDA: mda.Check, Methods: pop3.Methods()})
	if err != nil {
		return nil, err
	}
	if !c.Bool("quiet") {
		for _, w := range cfg.Warnings {
			fmt.Fprintf(p.err, "popfetch: warning: %s\n", w)
		}
	}
	return cfg, nil
}

// hostName is the name of this machine as it stands in file names and Received
// fields.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

// account puts together what a poll of a needs. p is told of its progress, nil
// is allowed.
func (h *house) account(a *config.Account, progress fetch.Progress) *fetch.Account {
	key := state.Key(a.User, a.Host)
	log := h.log.With("account", a.Name)
	d := &door{account: a, log: log}
	account := &fetch.Account{
		Name:     a.Name,
		User:     a.User,
		Host:     a.Host,
		Protocol: "POP3",
		Open:     d.open,
		Destination: func(ctx context.Context) (deliver.Destination, error) {
			return h.destination(a, log)
		},
		Recover:  recoverIntent,
		Maildrop: h.store.Maildrop(key),
		Key:      key,
		Policy:   h.policy(a),
		Interval: time.Duration(a.Interval),
		Deadline: time.Duration(a.Deadline),
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

// destination opens where the mail of an account goes. What an earlier run of
// the same account left half-written is removed: Recover has dealt with what
// counted.
func (h *house) destination(a *config.Account, log *slog.Logger) (deliver.Destination, error) {
	if len(a.MDA) > 0 {
		return &mda.MDA{
			Argv:    a.MDA,
			Timeout: time.Duration(a.MDATimeout),
			Spool:   filepath.Dir(h.config.State),
			Env:     os.Environ(),
			Log:     log,
		}, nil
	}
	if err := h.lost(a); err != nil {
		return nil, err
	}
	m := h.maildir(a, log)
	if err := m.Open(); err != nil {
		return nil, err
	}
	if err := m.Sweep(nil); err != nil {
		log.Warn("leftovers of deliveries stay in tmp/", "reason", err)
	}
	return m, nil
}

// maildir is the Maildir of an account, not open yet.
func (h *house) maildir(a *config.Account, log *slog.Logger) *maildir.Maildir {
	key := state.Key(a.User, a.Host)
	return &maildir.Maildir{
		Path: a.Maildir, Owner: owner(h.store.ID(), key), Host: h.stamp.Host, Log: log,
		MaxOpen: h.files, Syncs: h.syncs,
		Claim: maildir.Claim{Account: tag(key), Store: h.store.ID()},
	}
}

// owner marks the files of one account of one state file.
func owner(storeID, key string) string { return tag(storeID + "\x00" + key) }

// tag is a short name for a longer one, as it stands in file names.
func tag(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8])
}

// recoverIntent hands an open intent to the kind of destination that made it,
// which need not be the one that the account has now.
func recoverIntent(ctx context.Context, i deliver.Intent) (deliver.Outcome, error) {
	switch i.Kind {
	case maildir.Kind:
		return maildir.Recover(ctx, i, time.Now())
	case mda.Kind:
		return mda.Recover(ctx, i, time.Now())
	}
	return 0, &fetch.StateError{Err: fmt.Errorf("the state file holds a delivery of an unknown kind %q", i.Kind)}
}

// security is the client's word for the configuration's.
func security(m config.TLSMode) pop3.Security {
	switch m {
	case config.TLSStart:
		return pop3.StartTLS
	case config.TLSNone:
		return pop3.ClearText
	}
	return pop3.ImplicitTLS
}
