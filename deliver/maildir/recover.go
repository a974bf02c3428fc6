package maildir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

// maxAge is up to which age of the intent a missing file in tmp/ proves the rename.
// Programs that clean tmp/ remove files after 36 hours.
const maxAge = 24 * time.Hour

// mounted is the hint for a Maildir that is not the one of the intent.
const mounted = "is the file system mounted? popfetch waits for this Maildir, because messages were on their way into it; " +
	"if it was removed or replaced for good, `popfetch state retry` fetches them again"

// note is an intent: deliver.Intent.Note is its JSON. Device, Inode and Born tell one Maildir
// from another, see durable.ID.
type note struct {
	Dir    string `json:"dir"`
	Name   string `json:"name"`
	Octets int64  `json:"octets"`
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
	Born   int64  `json:"born,omitempty"`
	Time   int64  `json:"time"` // Unix seconds
}

func (n note) intent() deliver.Intent { return deliver.NewIntent(Kind, n) }

// parse returns the note of in, checked.
func parse(in deliver.Intent) (note, error) {
	var n note
	if err := in.Read(Kind, &n); err != nil {
		return n, err
	}
	if !filepath.IsAbs(n.Dir) || n.Octets < 0 || n.Name == "" ||
		strings.HasPrefix(n.Name, ".") || strings.ContainsAny(n.Name, "/\x00") {
		return n, fmt.Errorf("intent without a message: %.256q", in.Note)
	}
	return n, nil
}

// Recover decides what became of an intent that a crash has left open, and finishes the
// delivery if it can. It needs only the intent, so that it also serves a Maildir that is
// no longer in the configuration. now is the time of the call.
//
//   - Redone: the file was still in tmp/ and is in new/ now.
//   - Published: the file has been in new/. A reader may have moved or deleted it since.
//   - Again: the file is not known to have been in new/. Either the intent is more than
//     a day old and the message is nowhere, so that a program that cleans tmp/
//     may have removed it; or the file is not what was staged.
//
// The first two are durable. An error is a *deliver.Error of scope Place: the Maildir
// is missing, unreadable, or another one. Nothing is decided then, and the account
// must wait.
func Recover(ctx context.Context, in deliver.Intent, now time.Time) (deliver.Outcome, error) {
	return recovery{fs: durable.OS{}}.run(ctx, in, now)
}

// recovery is Recover on the file system fs.
type recovery struct{ fs durable.FS }

func (r recovery) run(ctx context.Context, in deliver.Intent, now time.Time) (deliver.Outcome, error) {
	n, err := parse(in)
	if err != nil {
		return 0, &deliver.Error{Op: "read intent for", Path: cmp.Or(n.Dir, "Maildir"), Scope: deliver.Place, Err: err}
	}
	if ctx.Err() != nil {
		return 0, &deliver.Error{Op: "finish a delivery into", Path: n.Dir, Temporary: true, Err: context.Cause(ctx)}
	}
	t, err := r.open(n.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", deliver.ErrElsewhere, err)
	}
	if err != nil {
		return 0, n.undecided(err)
	}
	defer t.close()
	outcome, err := t.decide(n, now)
	if err != nil {
		return 0, n.undecided(err)
	}
	return outcome, nil
}

// undecided returns the error that leaves the intent open.
func (n note) undecided(err error) error {
	hint := durable.Explain(err).Hint
	if hint == "" || errors.Is(err, deliver.ErrElsewhere) {
		hint = mounted
	}
	return &deliver.Error{
		Op: "finish a delivery into", Path: n.Dir, Scope: deliver.Place, Temporary: true, Hint: hint, Err: err,
	}
}

// tree is an open Maildir.
type tree struct{ root, tmp, new, cur durable.Dir }

func (r recovery) open(path string) (*tree, error) {
	root, err := r.fs.OpenDir(path)
	if err != nil {
		return nil, err
	}
	t := &tree{root: root}
	for _, part := range []struct {
		name string
		dir  *durable.Dir
	}{{"tmp", &t.tmp}, {"new", &t.new}, {"cur", &t.cur}} {
		dir, err := root.OpenDir(part.name)
		if err != nil {
			t.close()
			return nil, err
		}
		*part.dir = dir
	}
	return t, nil
}

func (t *tree) close() {
	for _, dir := range []durable.Dir{t.root, t.tmp, t.new, t.cur} {
		if dir != nil {
			dir.Close()
		}
	}
}

// decide is Recover in an open Maildir. If the name is found, its 128 random bits prove
// that it is the message and the Maildir of the intent. That the name is missing proves
// something only in the same Maildir.
func (t *tree) decide(n note, now time.Time) (deliver.Outcome, error) {
	shown, err := stat(t.new, published(n.Name, n.Octets))
	if err != nil {
		return 0, err
	}
	if shown.Regular && shown.Octets == n.Octets {
		// tmp/ may still have it: a file system whose power was cut during the rename
		// may keep both names. Readers see the message, and another rename
		// would repeat it. Sweep removes the other name.
		return t.published()
	}
	waiting, err := stat(t.tmp, n.Name)
	if err != nil {
		return 0, err
	}
	if waiting.Regular {
		return t.redo(n, waiting, shown)
	}
	id, err := t.root.ID()
	if err != nil {
		return 0, err
	}
	same := id.Same(durable.ID{Device: n.Device, Inode: n.Inode, Born: n.Born})
	// If the clock was set back, the age of the intent is not known.
	young := now.Sub(time.Unix(n.Time, 0)).Abs() <= maxAge
	if same && young {
		return t.published()
	}
	found, err := isIn(n.Name, t.new, t.cur)
	switch {
	case err != nil:
		return 0, err
	case found:
		return t.published()
	case !same:
		return 0, fmt.Errorf("%w: the messages were staged in another directory of this name", deliver.ErrElsewhere)
	}
	return deliver.Again, nil
}

// published makes the rename durable: the process may have died before it synced new/. A
// reader may have moved the message to cur/.
func (t *tree) published() (deliver.Outcome, error) {
	if err := errors.Join(t.new.Sync(), t.cur.Sync()); err != nil {
		return 0, err
	}
	return deliver.Published, nil
}

// redo publishes the file that is still in tmp/.
func (t *tree) redo(n note, waiting, shown durable.Info) (deliver.Outcome, error) {
	if waiting.Octets != n.Octets || shown != (durable.Info{}) {
		// Prepare had synced the file. The disk has lost writes all the same, or
		// somebody else wrote here. The server still has the message.
		return deliver.Again, nil
	}
	if err := t.tmp.Rename(n.Name, t.new, published(n.Name, n.Octets)); err != nil {
		return 0, err
	}
	if err := t.new.Sync(); err != nil {
		return 0, err
	}
	return deliver.Redone, nil
}

// stat is Stat, with a zero Info and no error if there is no such entry.
func stat(dir durable.Dir, name string) (durable.Info, error) {
	info, err := dir.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return durable.Info{}, nil
	}
	return info, err
}
