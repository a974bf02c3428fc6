package mbox

import (
	"cmp"
	"context"
	"errors"
	"io"

	"popfetch/deliver"
)

// chunk is the length in octets of one write.
const chunk = 256 << 10

var errForeign = errors.New("another program ignored the locks and wrote to the file")

// Publish implements deliver.Destination. Once the intents are recorded it goes on to its
// end whatever becomes of ctx: that takes no longer than the disk does. If it fails and the
// file could be cut back, the messages are known not to be delivered, and the error is of
// scope Message; otherwise Recover has to decide.
func (m *Mbox) Publish(_ context.Context, group []deliver.Staged) []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.current
	var failed error
	if b != nil && !b.written {
		b.written = true
		failed = m.append(b)
		// The messages are durable by now, or not delivered. A lock file that cannot be
		// removed is the next delivery's to remove.
		_ = m.finish()
	} else {
		b = new(batch)
	}
	return deliver.Each(group, func(member deliver.Staged) error {
		s, own := member.(*staged)
		switch {
		case !own || s.m != m || s.spool == nil || !b.has(s):
			return m.notStaged()
		case failed != nil:
			return failed
		}
		s.drop()
		return nil
	})
}

// append writes the batch to the end of the file and makes it durable.
func (m *Mbox) append(b *batch) error {
	file := b.lock.file
	written, err := copyAll(file, b.text())
	if err == nil && written != b.octets {
		err = io.ErrShortWrite // a spool was cut
	}
	if err != nil {
		return m.undo(b, err, true)
	}
	if err := file.Sync(); err != nil {
		// What a failed sync leaves on the disk is not known, whatever a later one returns.
		return m.undo(b, err, false)
	}
	size, err := file.Size()
	if err != nil {
		return m.broken(b, err)
	}
	if size == b.start+b.octets {
		return nil
	}
	// Another program has appended too. Its octets may be in the middle of ours.
	marks, err := newMarks(io.NewSectionReader(file, b.start, b.octets))
	if err != nil || !marks.equal(b.marks) {
		return m.broken(b, errForeign)
	}
	return nil
}

// undo cuts the file back after an error. With sure the messages count as not delivered if
// that succeeds.
func (m *Mbox) undo(b *batch, cause error, sure bool) error {
	failed := m.broken(b, cause)
	whole, err := b.cutBack()
	if err != nil || !whole {
		return failed
	}
	b.spoiled = false
	if sure {
		failed.Scope = deliver.Message
	}
	return failed
}

// cutBack removes what was written of the batch, durably, and reports whether the file then
// has the length that it had before.
func (b *batch) cutBack() (whole bool, err error) {
	note, err := parse(b.members[0].intent)
	if err != nil {
		return false, err
	}
	if _, err := note.cutBack(b.lock.file); err != nil {
		return false, err
	}
	size, err := b.lock.file.Size()
	return size == b.start, cmp.Or(err, b.lock.file.Sync())
}

// broken returns the error for a batch of which the file may hold a part.
func (m *Mbox) broken(b *batch, cause error) *deliver.Error {
	b.spoiled = true
	failed := &deliver.Error{Op: "append to", Path: m.Path, Temporary: true, Err: cause}
	var known *deliver.Error
	if errors.As(placeError("append to", m.Path, cause), &known) {
		failed.Hint, failed.Err = known.Hint, known.Err
	}
	return failed
}

// copyAll copies src to the end of the file in chunks and returns how much was written.
func copyAll(file io.Writer, src io.Reader) (written int64, err error) {
	buf := make([]byte, chunk)
	for {
		n, readErr := io.ReadFull(src, buf)
		if n > 0 {
			w, err := file.Write(buf[:n])
			written += int64(w)
			if err != nil {
				return written, err
			}
		}
		switch readErr {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return written, nil
		default:
			return written, readErr
		}
	}
}
