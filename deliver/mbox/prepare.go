package mbox

import (
	"cmp"
	"context"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

// batch is a prepared group: the mbox is locked until it is published or given up.
type batch struct {
	lock    *lock
	start   int64  // length of the mbox before
	lead    string // what the last message there lacks of its empty line
	members []*staged
	octets  int64 // lead and members
	marks   marks
	written bool // Publish was called
	spoiled bool // the mbox may end in a part of the batch
}

func (b *batch) has(s *staged) bool { return slices.Contains(b.members, s) }

// text returns what is to be appended.
func (b *batch) text() io.Reader {
	parts := []io.Reader{strings.NewReader(b.lead)}
	for _, s := range b.members {
		parts = append(parts, s.text())
	}
	return io.MultiReader(parts...)
}

// Prepare implements deliver.Destination. A crash makes the server send the messages again,
// so that the spools need not survive it. The mbox stays locked until Publish, Close, or
// the Abort of one of the messages.
func (m *Mbox) Prepare(ctx context.Context, group []deliver.Staged) []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.finish(); err != nil {
		return deliver.Each(group, func(deliver.Staged) error { return placeError("unlock", m.Path, err) })
	}
	errs := make([]error, len(group))
	b := new(batch)
	for i, member := range group {
		s, own := member.(*staged)
		switch {
		case !own || s.m != m || s.spool == nil:
			errs[i] = m.notStaged()
		default:
			errs[i] = s.spool.Sync()
		}
		if errs[i] == nil {
			b.members = append(b.members, s)
			b.octets += s.octets()
		}
	}
	if len(b.members) == 0 {
		return errs
	}
	if err := m.begin(ctx, b); err != nil {
		for i := range errs {
			errs[i] = cmp.Or(errs[i], err)
		}
		return errs
	}
	m.current = b
	if !slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
		return nil
	}
	return errs
}

// begin locks the mbox for a batch and sets the intents. After an error nothing is locked.
func (m *Mbox) begin(ctx context.Context, b *batch) (err error) {
	if ctx.Err() != nil {
		return lockError(ctx, m.Path, ctx.Err())
	}
	b.lock, err = lockMbox(ctx, m.disk(), m.Path, m.Owner, cmp.Or(m.Timeout, defaultTimeout), true)
	if err != nil {
		return lockError(ctx, m.Path, err)
	}
	if err = m.measure(b); err == nil {
		err = m.intend(b)
	}
	if err != nil {
		b.lock.free() // err says more
		return placeError("prepare", m.Path, err)
	}
	return nil
}

// measure looks at the end of the mbox, and finds out now if there is no room for the batch.
func (m *Mbox) measure(b *batch) (err error) {
	file := b.lock.file
	if err := checkContent(file, m.Path); err != nil {
		return err
	}
	if b.start, err = file.Size(); err != nil {
		return err
	}
	if b.lead, err = missingEnd(file, b.start); err != nil {
		return err
	}
	b.octets += int64(len(b.lead))
	if err := file.Reserve(b.octets); err != nil {
		return err
	}
	// The name of a new file has to be durable. An earlier run that made it may have been
	// killed before its sync, so that costs one call each time.
	return b.lock.dir.Sync()
}

// missingEnd returns what has to follow the size octets of a file for the last line to end
// and an empty line to follow.
func missingEnd(file durable.AppendFile, size int64) (string, error) {
	if size == 0 {
		return "", nil
	}
	end := make([]byte, min(size, 2))
	if _, err := file.ReadAt(end, size-int64(len(end))); err != nil && err != io.EOF {
		return "", err
	}
	switch {
	case string(end) == "\n\n":
		return "", nil
	case end[len(end)-1] == '\n':
		return "\n", nil
	}
	return "\n\n", nil
}

// intend sets the intents of the batch.
func (m *Mbox) intend(b *batch) error {
	id, err := b.lock.dir.ID()
	if err != nil {
		return err
	}
	common := note{
		Path: filepath.Clean(m.Path), Owner: m.Owner, Device: id.Device, Inode: id.Inode, Born: id.Born,
		Offset: b.start, Octets: b.octets,
	}
	if b.marks, err = newMarks(b.text()); err != nil {
		return err
	}
	common.Marks = b.marks
	for i, s := range b.members {
		n := common
		n.ID, n.From, n.Stamped = s.meta.ID, s.from, isStamped(s)
		if n.Message, err = digestMessage(s.text()); err != nil {
			return err
		}
		for _, earlier := range b.members[:i] {
			if twin(earlier.intent, n) {
				n.Twins++
			}
		}
		s.intent = n.intent()
	}
	return nil
}

// isStamped reports whether a message has a Received field with its own delivery id, which no
// other message has.
func isStamped(s *staged) bool {
	return s.meta.ID != "" && deliver.HasStamp(s.spool.Head(), s.meta.ID)
}
