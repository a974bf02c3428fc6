package mbox

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"io"
	"strings"
	"time"

	"popfetch/deliver"
	"popfetch/internal/spool"
)

// staged is one spooled message, quoted as it is stored.
type staged struct {
	m      *Mbox
	meta   deliver.Meta
	from   string       // the line before the message, with its LF
	spool  *spool.Spool // nil after Publish or Abort
	made   time.Time
	intent deliver.Intent // set by Prepare
}

// Stage implements deliver.Destination: the message is spooled, so that nothing incomplete
// ever gets near the file.
func (m *Mbox) Stage(ctx context.Context, meta deliver.Meta, r io.Reader) (deliver.Staged, error) {
	s, err := spool.NewWithin(ctx, m.Spool, inMemory, newQuoter(deliver.NewLFReader(r)))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	sender := deliver.NewEnvelope(meta, s.Head()).Sender
	return &staged{m: m, meta: meta, from: fromLine(sender, now), spool: s, made: now}, nil
}

// fromLine returns the line that begins a message: sender and time, in UTC. See the
// specification of the format at https://www.rfc-editor.org/rfc/rfc4155, appendix A.
func fromLine(sender string, at time.Time) string {
	return separator + cmp.Or(sender, "MAILER-DAEMON") + " " + at.UTC().Format(time.ANSIC) + "\n"
}

// octets is the length of the message in the file.
func (s *staged) octets() int64 { return int64(len(s.from)) + s.spool.Size() + 1 }

// text returns the message as it is in the file: it begins with the From line and ends
// with an empty line.
func (s *staged) text() io.Reader {
	return io.MultiReader(strings.NewReader(s.from), s.spool.Reader(), strings.NewReader("\n"))
}

// Intent implements deliver.Staged.
func (s *staged) Intent() deliver.Intent { return s.intent }

// Abort implements deliver.Staged. It frees the locks with the first message of a batch
// that is given up: the intents of the others describe a batch that is never written.
func (s *staged) Abort() error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.spool == nil {
		return nil
	}
	s.drop()
	if b := s.m.current; b != nil && b.has(s) {
		return s.m.finish()
	}
	return nil
}

// drop frees the spool.
func (s *staged) drop() {
	s.spool.Close()
	s.spool = nil
}

// quoter puts a ">" before each line that begins with any number of ">" and then "From ".
// So no line of a message begins with "From ", and taking one ">" away from those lines
// gives the message back. The last line gets an end if it has none.
type quoter struct {
	src  *bufio.Reader
	out  []byte // still to be read; valid until the next read from src
	mark bool   // a ">" goes before out
	line bool   // in the middle of a line
	err  error  // of src, after out
}

func newQuoter(r io.Reader) *quoter { return &quoter{src: bufio.NewReaderSize(r, 32<<10)} }

// Read implements io.Reader. Errors are those of the source.
func (q *quoter) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(q.out) == 0 {
		if q.err != nil {
			return 0, q.err
		}
		q.next()
	}
	if q.mark {
		p[0], q.mark = '>', false
		return 1, nil
	}
	n := copy(p, q.out)
	q.out = q.out[n:]
	return n, nil
}

// next takes up to one line from the source.
func (q *quoter) next() {
	part, err := q.src.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		q.err = err
	}
	if len(part) > 0 {
		q.mark = !q.line && isQuotable(part)
		q.line = part[len(part)-1] != '\n'
		q.out = part
	}
	if err == io.EOF && q.line {
		q.out = append(q.out[:len(q.out):len(q.out)], '\n')
	}
}

// isQuotable reports whether a line, or its beginning, needs a ">".
func isQuotable(line []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte(separator))
}
