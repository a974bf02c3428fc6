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
	"unicode/utf8"

	gomaildir "github.com/emersion/go-maildir"

	"popfetch/deliver"
	"popfetch/deliver/internal/durable"
)

// Kind is the Kind of this package's intents.
const Kind = "maildir"

// groupSize is how many messages share the directory syncs and the commit that
// records them. Each keeps a file open until Prepare, see MaxOpen.
const groupSize = 100

// Maildir is one Maildir as the destination of one account. The exported fields
// are set before Open and not changed after. Its methods are called from one
// goroutine at a time; any number of Maildirs, in any number of processes, may have the
// same Path.
type Maildir struct {
	Path  string       // absolute path of the Maildir
	Owner string       // 16 lower-case hex digits that name state file and account: the mark of our files in tmp/
	Host  string       // name of this machine, for the names of files
	Claim Claim        // made with the first delivery; zero = none
	Log   *slog.Logger // nil = nothing is logged
	// MaxOpen is how many messages may keep a file open between Stage and
	// Prepare, 0 = any number. Beyond it Stage syncs and closes the file itself,
	// one after the other where Prepare does several at once.
	MaxOpen int

	fs   durable.FS              // nil = durable.OS
	init func(path string) error // makes tmp, new and cur in a directory; nil = go-maildir

	root, tmp, new durable.Dir
	id             durable.ID
	host           string              // Host as it stands in names
	hasClaim       bool                // Claim is made
	rooted         bool                // the entries tmp and new are known to be durable
	failed         error               // of the sync of a directory: nothing more is done until the next Open
	live           map[string]struct{} // names in tmp/ between Stage and the end of Publish
	open           int                 // files between Stage and Prepare
	buf            []byte              // of Stage, kept from one message of a group to the next
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
	m.host = escapeHost(m.Host)
	m.live = make(map[string]struct{})
	m.rooted, m.failed = false, nil

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
	return m.failed
}
