// Package maildir delivers into a Maildir: each message once, whole, and never
// lost again, whatever stops the program or the machine.
//
// A message is written to tmp/NAME and synced there, with its directory. The caller
// then records the intent, which holds NAME, and only then is the file renamed to
// new/NAME,S=<octets> and that directory synced. After a crash tmp/NAME says
// what happened: while it is there the rename has not been done and can be done
// now; when it is gone it has been, whatever a mail reader has done with the
// message since. See Recover.
//
// The tree is that of https://cr.yp.to/proto/maildir.html, the size in the name
// that of Maildir++.
package maildir

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	gomaildir "github.com/emersion/go-maildir"
	"golang.org/x/sync/semaphore"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

// Kind is the Kind of this package's intents.
const Kind = "maildir"

const (
	// groupSize is how many messages share the directory syncs and the commit that
	// records them. Each keeps a file open until Prepare, see MaxOpen.
	groupSize = 100
	// ownSyncs is how many files of a group are synced in parallel where Syncs
	// does not say it: the file system then writes its journal once for several.
	ownSyncs = 16
)

// Maildir is one Maildir as the destination of one account. The exported fields
// are set before Open and not changed after. What deliver.Destination allows to run
// at once may; the other methods are called when nothing runs. Any number of Maildirs,
// in any number of processes, may have the same Path.
type Maildir struct {
	Path  string       // absolute path of the Maildir
	Owner string       // 16 lower-case hex digits that name state file and account: the mark of our files in tmp/
	Host  string       // name of this machine, for the names of files
	Claim Claim        // made with the first delivery; zero = none
	Log   *slog.Logger // nil = nothing is logged
	// MaxOpen is how many messages may keep a file open, from Stage until
	// Prepare has synced it, 0 = any number. Beyond it Stage syncs and closes the
	// file itself, one after the other where Prepare does several at once.
	MaxOpen int
	// Syncs is how many goroutines may sync a file at once, beside the callers of
	// Stage and Prepare: each holds a thread while the disk works. It may
	// be shared, so that many Maildirs do not need many times the threads; none
	// ever waits for what another has taken of it. nil = 16 of its own.
	Syncs *semaphore.Weighted

	fs   durable.FS              // nil = durable.OS
	init func(path string) error // makes tmp, new and cur in a directory; nil = go-maildir
	// together is how many files are synced together, 0 = fewestTogether.
	together int

	root, tmp, new durable.Dir
	id             durable.ID
	host           string // Host as it stands in names
	hasClaim       bool   // Claim is made; of Prepare
	rooted         bool   // the entries tmp and new are known to be durable; of Prepare
	buf            []byte // of Stage, kept from one message to the next

	mu     sync.Mutex          // for what both sides of deliver.Destination touch:
	failed error               // of the sync of a directory: nothing more is done until the next Open
	live   map[string]struct{} // names in tmp/ between Stage and the end of Publish
	open   int                 // files of messages that are open
}

var _ deliver.Destination = (*Maildir)(nil)

// Open opens the Maildir, and makes it with its parents, mode 0700, where it does
// not exist. A directory that is not a Maildir and not empty is refused, and so
// is one that cannot be written to. Every error is an *deliver.Error of scope
// Place. Recover of open intents comes before Open: it must see a
// Maildir that is missing, not a new one.
func (m *Maildir) Open() error {
	if m.fs == nil {
		m.fs = durable.OS{}
	}
	if m.init == nil {
		m.init = func(path string) error { return gomaildir.Dir(path).Init() }
	}
	if m.Log == nil {
		m.Log = slog.New(slog.DiscardHandler)
	}
	if !filepath.IsAbs(m.Path) {
		return refused(m.Path, "the path of a Maildir has to be absolute", "")
	}
	if !utf8.ValidString(m.Path) { // an intent could not name it
		return refused(m.Path, "the path of a Maildir has to be UTF-8", "")
	}
	if len(m.Owner) != ownerDigits || strings.Trim(m.Owner, hexDigits) != "" {
		return refused(m.Path, "the owner tag has to be 16 lower-case hex digits", "")
	}
	if m.together == 0 {
		m.together = fewestTogether
	}
	if m.Syncs == nil {
		m.Syncs = semaphore.NewWeighted(ownSyncs)
	}
	m.host = escapeHost(m.Host)
	m.rooted = false
	m.reset()

	root, err := m.openRoot()
	if err != nil {
		return err
	}
	m.root = root
	if err := m.openParts(); err != nil {
		m.Close()
		return err
	}
	return nil
}

// reset forgets the deliveries before Open. Files that are open stay counted.
func (m *Maildir) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed, m.live = nil, make(map[string]struct{})
}

// openRoot opens the directory of the Maildir and sees to it that the tree is there.
func (m *Maildir) openRoot() (durable.Dir, error) {
	root, err := m.fs.OpenDir(m.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m.create()
	case err != nil:
		return nil, placeError("open Maildir", m.Path, err)
	}
	missing, err := survey(root, m.Path)
	if err == nil && len(missing) == 0 {
		return root, nil
	}
	root.Close()
	if err != nil {
		return nil, err
	}
	return m.create()
}

// create makes what the tree lacks. That a directory has anything in it shows that
// MakeDirs came to its end, so only an empty one or one that has parts of the tree
// is ever completed.
func (m *Maildir) create() (durable.Dir, error) {
	if err := m.fs.MakeDirs(m.Path); err != nil {
		return nil, placeError("create Maildir", m.Path, err)
	}
	if err := m.init(m.Path); err != nil {
		return nil, placeError("create Maildir", m.Path, err)
	}
	root, err := m.fs.OpenDir(m.Path)
	if err != nil {
		return nil, placeError("open Maildir", m.Path, err)
	}
	if err := root.Sync(); err != nil {
		root.Close()
		return nil, placeError("sync Maildir", m.Path, err)
	}
	m.rooted = true
	m.Log.Info("new Maildir", "path", m.Path)
	return root, nil
}

// openParts opens what is written to and asks whether it may be.
func (m *Maildir) openParts() error {
	for _, part := range []struct {
		name string
		dir  *durable.Dir
	}{{"tmp", &m.tmp}, {"new", &m.new}} {
		path := filepath.Join(m.Path, part.name)
		dir, err := m.root.OpenDir(part.name)
		if err != nil {
			return placeError("open", path, err)
		}
		*part.dir = dir
		if err := dir.Writable(); err != nil {
			return placeError("write to", path, err)
		}
	}
	id, err := m.root.ID()
	if err != nil {
		return placeError("open Maildir", m.Path, err)
	}
	m.id = id
	return nil
}

// Group implements deliver.Destination.
func (m *Maildir) Group() int { return groupSize }

// Recoverable implements deliver.Destination: see Recover.
func (m *Maildir) Recoverable() bool { return true }

// Close implements deliver.Destination. It may be called more than once.
func (m *Maildir) Close() error {
	var errs []error
	for _, dir := range []*durable.Dir{&m.root, &m.tmp, &m.new} {
		if *dir != nil {
			errs = append(errs, (*dir).Close())
			*dir = nil
		}
	}
	m.buf = nil
	return errors.Join(errs...)
}

// usable returns why nothing can be delivered, or nil: ctx has ended, or a
// directory could not be synced.
func (m *Maildir) usable(ctx context.Context) error {
	if ctx.Err() != nil {
		return &deliver.Error{Op: "deliver to", Path: m.Path, Temporary: true, Err: context.Cause(ctx)}
	}
	return m.failure()
}

// failure returns why nothing is done until the next Open, or nil.
func (m *Maildir) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}
