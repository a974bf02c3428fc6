// Package maildir delivers into a Maildir: each message whole and exactly once, whatever
// stops the program or the machine.
//
// Stage writes a message to tmp/NAME. Prepare syncs the file and tmp/. The caller records
// the intent, which has NAME. Only then Publish renames the file to
// new/NAME,S=<octets> and syncs new/. After a crash tmp/NAME tells what happened:
// if it is there, the rename was not done, and Recover does it; if it is gone, the
// rename was done, whatever a mail reader has done with the message since.
//
// The directories are those of https://cr.yp.to/proto/maildir.html, the size in the name
// is that of Maildir++.
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
	// groupSize is how many messages share the directory syncs and the commit of
	// their intents. Each keeps a file open until Prepare, see MaxOpen.
	groupSize = 100
	// ownSyncs is how many files are synced in parallel if Syncs is nil: the file
	// system then writes its journal once for several of them.
	ownSyncs = 16
)

// Maildir is a Maildir as the destination of one account. The exported fields are set before
// Open and do not change after. The methods of deliver.Destination may run
// concurrently as described there; the others are called when nothing else runs. Any
// number of Maildirs, of any number of processes, may have the same Path.
type Maildir struct {
	Path  string       // absolute path of the Maildir
	Owner string       // 16 lower-case hex digits that stand for state file and account, in the names of our files
	Host  string       // name of this machine, for the names of files
	Claim Claim        // made before the first delivery; zero = none
	Log   *slog.Logger // nil = nothing is logged
	// MaxOpen is how many messages may keep a file open, from Stage until Prepare has
	// synced it, 0 = any number. Beyond it Stage syncs and closes the file itself,
	// which is slower: Prepare syncs several files in parallel.
	MaxOpen int
	// Syncs limits how many goroutines sync a file at once, besides the callers of Stage
	// and Prepare: each holds a thread while the disk works. Maildirs may share
	// it, and never wait for each other's part. nil = 16 for this Maildir alone.
	Syncs *semaphore.Weighted

	fs   durable.FS              // nil = durable.OS
	init func(path string) error // makes tmp, new and cur in a directory; nil = makeParts
	// together is from how many files on Prepare uses syncfs(2), 0 = fewestTogether.
	together int

	root, tmp, new durable.Dir
	id             durable.ID
	host           string // Host as used in names
	hasClaim       bool   // Claim is made; used by Prepare only
	rooted         bool   // the entries tmp and new are durable; used by Prepare only
	buf            []byte // reused by each Stage

	mu     sync.Mutex          // guards the fields below, which Stage shares with Prepare and Publish
	failed error               // of a directory sync or syncfs: every delivery fails until the next Open
	live   map[string]struct{} // names in tmp/ between Stage and the end of Publish
	open   int                 // open files of messages
}

var _ deliver.Destination = (*Maildir)(nil)

// Open opens the Maildir. It makes a missing one and its parents with mode 0700. It refuses
// a directory that is neither a Maildir nor empty, and one that is not writable. Each
// error is a *deliver.Error of scope Place. Recover open intents before Open:
// Recover must see that a Maildir is missing, not find a new one in its place.
func (m *Maildir) Open() error {
	if m.fs == nil {
		m.fs = durable.OS{}
	}
	if m.init == nil {
		m.init = makeParts
	}
	if m.Log == nil {
		m.Log = slog.New(slog.DiscardHandler)
	}
	if !filepath.IsAbs(m.Path) {
		return refused(m.Path, "the path of a Maildir has to be absolute", "")
	}
	if !utf8.ValidString(m.Path) { // JSON could not represent it in an intent
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

// makeParts makes tmp, new and cur in the directory path. The library makes what a
// Maildir lacks, but root would own it then: MakeDirs comes first.
func makeParts(path string) error {
	for _, part := range []string{"tmp", "new", "cur"} {
		if err := (durable.OS{}).MakeDirs(filepath.Join(path, part)); err != nil {
			return err
		}
	}
	return gomaildir.Dir(path).Init()
}

// reset forgets the deliveries before this Open. Open files still count.
func (m *Maildir) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed, m.live = nil, make(map[string]struct{})
}

// openRoot opens the directory of the Maildir. It makes what is missing of the tree.
func (m *Maildir) openRoot() (durable.Dir, error) {
	root, err := m.fs.OpenDir(m.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m.create()
	case err != nil:
		return nil, placeError("open Maildir", m.Path, err)
	}
	missing, err := missingParts(root, m.Path)
	if err == nil && len(missing) == 0 {
		return root, nil
	}
	root.Close()
	if err != nil {
		return nil, err
	}
	return m.create()
}

// create makes what the tree lacks. The directory is missing, empty, or has only parts of the
// tree: see missingParts.
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

// openParts opens tmp and new and checks that they are writable.
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

// usable returns why nothing can be delivered, or nil: ctx has ended, or a sync has failed
// since Open.
func (m *Maildir) usable(ctx context.Context) error {
	if ctx.Err() != nil {
		return &deliver.Error{Op: "deliver to", Path: m.Path, Temporary: true, Err: context.Cause(ctx)}
	}
	return m.failure()
}

// failure returns why every delivery fails until the next Open, or nil.
func (m *Maildir) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}
