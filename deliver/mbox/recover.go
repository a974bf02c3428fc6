package mbox

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

// note is an intent: deliver.Intent.Note is its JSON. It describes one message and the batch
// that the message is appended with. Device, Inode and Born are of the directory, see
// durable.ID.
type note struct {
	Path    string `json:"path"`
	Owner   string `json:"owner"`
	Device  uint64 `json:"device"`
	Inode   uint64 `json:"inode"`
	Born    int64  `json:"born,omitempty"`
	Offset  int64  `json:"offset"`  // length of the mbox before the batch
	Octets  int64  `json:"octets"`  // of the batch
	Marks   marks  `json:"marks"`   // of the batch
	Message []byte `json:"message"` // digest of the message, see scan
	From    string `json:"from"`    // its From line
	Stamped bool   `json:"stamped,omitempty"`
	Twins   int    `json:"twins,omitempty"` // earlier messages of the batch that look the same
	ID      string `json:"id"`
}

func (n note) intent() deliver.Intent { return deliver.NewIntent(Kind, n) }

// parse returns the note of in, checked.
func parse(in deliver.Intent) (note, error) {
	var n note
	if err := in.Read(Kind, &n); err != nil {
		return n, err
	}
	if !filepath.IsAbs(n.Path) || n.Offset < 0 || n.Octets <= 0 || len(n.Marks.Head) == 0 || len(n.Message) == 0 {
		return n, fmt.Errorf("intent without a message: %.256q", in.Note)
	}
	return n, nil
}

// is reports whether a message of an mbox is the one of the intent, or looks the same.
func (n note) is(f found) bool {
	return bytes.Equal(f.digest, n.Message) && (n.Stamped || f.from == n.From)
}

// twin reports whether the message of an intent looks like that of n.
func twin(in deliver.Intent, n note) bool {
	other, err := parse(in)
	return err == nil && n.is(found{other.From, other.Message})
}

// moved is the hint for a directory that is not the one of the intent.
const moved = "is the file system mounted? popfetch waits for this mbox, because messages were on their way into it; " +
	"if it was removed or replaced for good, `popfetch state retry` fetches them again"

// Recover decides what became of an intent that a crash has left open. It needs only the
// intent, so that it also serves an mbox that is no longer in the configuration.
//
//   - Published: the whole batch is in the mbox, or this message is there, wherever a mail
//     reader has put it in a rewritten file. It is durable.
//   - Again: the message is not there. If the mbox ended in a part of the batch, it was cut
//     back first.
//
// Only octets that are proven to be of the batch are cut off, and only at the end of the
// file. An error is a *deliver.Error of scope Place: the mbox is locked or unreadable, or
// its directory is missing. Nothing is decided then, and the account must wait.
func Recover(ctx context.Context, in deliver.Intent, _ time.Time) (deliver.Outcome, error) {
	return recovery{fs: durable.OS{}, timeout: defaultTimeout}.run(ctx, in)
}

// recovery is Recover on the file system fs.
type recovery struct {
	fs      durable.FS
	timeout time.Duration
}

func (r recovery) run(ctx context.Context, in deliver.Intent) (deliver.Outcome, error) {
	n, err := parse(in)
	if err != nil {
		return 0, &deliver.Error{Op: "read intent for", Path: cmp.Or(n.Path, "mbox"), Err: err}
	}
	if err := r.checkPlace(n); err != nil {
		return 0, n.undecided(err)
	}
	l, err := lockMbox(ctx, r.fs, n.Path, n.Owner, r.timeout, false)
	if errors.Is(err, fs.ErrNotExist) {
		// The directory is the right one. Mail readers remove an mbox that has become
		// empty.
		return deliver.Again, nil
	}
	if err != nil {
		return 0, n.undecided(lockError(ctx, n.Path, err))
	}
	outcome, err := n.decide(l.file)
	if err != nil {
		_ = l.abandon() // the mbox may end in a part of a message
		return 0, n.undecided(err)
	}
	// The mbox may have been new.
	if err := cmp.Or(l.dir.Sync(), l.free()); err != nil {
		return 0, n.undecided(err)
	}
	return outcome, nil
}

// checkPlace returns an error if the directory of the mbox is not the one of the intent.
func (r recovery) checkPlace(n note) error {
	dir, err := r.fs.OpenDir(filepath.Dir(n.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", deliver.ErrElsewhere, err)
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	id, err := dir.ID()
	if err == nil && !id.Same(durable.ID{Device: n.Device, Inode: n.Inode, Born: n.Born}) {
		err = fmt.Errorf("%w: the directory is another one of this name", deliver.ErrElsewhere)
	}
	return err
}

// decide is Recover in an open and locked mbox.
func (n note) decide(file durable.AppendFile) (deliver.Outcome, error) {
	size, err := file.Size()
	if err != nil {
		return 0, err
	}
	if size >= n.Offset+n.Octets {
		there, err := newMarks(io.NewSectionReader(file, n.Offset, n.Octets))
		if err != nil {
			return 0, err
		}
		if there.equal(n.Marks) {
			return deliver.Published, file.Sync()
		}
	}
	switch cut, err := n.cutBack(file); {
	case err != nil:
		return 0, err
	case cut:
		return deliver.Again, file.Sync()
	}
	// Nothing of the batch was written, or the file was rewritten or appended to since.
	there := 0
	err = scan(io.NewSectionReader(file, 0, size), func(f found) {
		if n.is(f) {
			there++
		}
	})
	switch {
	case err != nil:
		return 0, err
	case there > n.Twins:
		return deliver.Published, file.Sync()
	}
	return deliver.Again, nil
}

// cutBack removes a part of the batch from the end of the file, if there is one and nothing
// else. A batch that is there as a whole counts as a part.
func (n note) cutBack(file durable.AppendFile) (cut bool, err error) {
	size, err := file.Size()
	if err != nil || size <= n.Offset || size > n.Offset+n.Octets {
		return false, err
	}
	tail, err := newMarks(io.NewSectionReader(file, n.Offset, size-n.Offset))
	if err != nil || !n.Marks.hasBegun(tail) {
		return false, err
	}
	return true, file.Truncate(n.Offset)
}

// undecided returns the error that leaves the intent open.
func (n note) undecided(err error) error {
	hint := durable.Explain(err).Hint
	var known *deliver.Error
	if errors.As(err, &known) {
		hint, err = known.Hint, known.Err
	}
	if hint == "" || errors.Is(err, deliver.ErrElsewhere) {
		hint = moved
	}
	return &deliver.Error{Op: "finish a delivery into", Path: n.Path, Temporary: true, Hint: hint, Err: err}
}
