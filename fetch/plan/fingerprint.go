package plan

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"iter"
	"slices"
)

// maxHeader is how many octets of a header block count. The rest of a longer one is
// ignored.
const maxHeader = 64 << 10

// headerStep is how many octets are looked at together for the end of the header
// block. What follows it is not copied then.
const headerStep = 2 << 10

// Fingerprint tells one message of a maildrop from the others. It is a digest of the
// header fields that stay the same while a message is kept and handed on: see
// identityFields. It is zero if it is not known.
type Fingerprint = [16]byte

// Identity is what a message is recognised by, whatever unique-id and size its
// server gives it.
type Identity struct {
	Fingerprint Fingerprint
	// Body is a digest of the body, without regard to the line ends.
	Body [16]byte
	// Weak reports that the message has neither a Message-ID nor a Received field.
	// Another message may then have the same Fingerprint, and only Body tells the
	// two apart.
	Weak bool
	// Block is the digest of the raw header block, up to and including the empty
	// line. State files of version 1 hold it in place of a fingerprint.
	Block [16]byte
	// bare: the message has no identity field, so that any change of its header block
	// changes its fingerprint.
	bare bool
}

// Contradicts reports whether a header block that was shown for a message is not that of
// the message as it was received.
func (shown Identity) Contradicts(received Identity) bool {
	return shown.Fingerprint != received.Fingerprint && !(shown.bare && received.bare)
}

// identityFields are the fields that a fingerprint is made of, in lower case (RFC
// 5322 section 3.6). Servers and filters add fields to a message that they keep
// (Status, X-UID, X-Spam-Status, …), but have no reason to change these.
var identityFields = [...]string{"message-id", "date", "from", "to", "subject", "received"}

const (
	messageID = 0
	received  = len(identityFields) - 1
)

// statusFields are the fields, in lower case, that servers and mail readers are known
// to change in a message that they keep, and those that programs put in front of one
// that they deliver. They do not count if a message has none of the identity fields.
var statusFields = []string{
	"return-path", "delivered-to",
	"status", "x-status", "x-uid", "x-uidl", "x-keywords", "x-imap", "x-imapbase",
	"content-length", "lines", "x-mozilla-status", "x-mozilla-status2", "x-mozilla-keys",
}

// Identifier takes a message, as a server sends it or as a Maildir keeps it, and
// tells its Identity. It is used by one goroutine.
type Identifier struct {
	block []byte // the header block as far as it has come
	whole bool   // the header block is complete or has reached maxHeader
	sum   [16]byte
	field fields
	body  hash.Hash // nil until the header block is whole
}

// NewIdentifier returns an Identifier for one message.
func NewIdentifier() *Identifier { return new(Identifier) }

// Write takes the next octets of the message. It never fails.
func (d *Identifier) Write(p []byte) (int, error) {
	n := len(p)
	for !d.whole && len(p) > 0 {
		p = p[d.addHeader(p[:min(len(p), headerStep)]):]
	}
	if d.body != nil {
		for part := range bytes.SplitSeq(p, []byte("\r")) {
			d.body.Write(part)
		}
	}
	return n, nil
}

// addHeader takes octets of the header block off p, and returns how many that are: all
// of p unless the block ends in it.
func (d *Identifier) addHeader(p []byte) int {
	seen := len(d.block)
	d.block = append(d.block, p[:min(len(p), maxHeader-seen)]...)
	end := headerEnd(d.block, seen)
	if end < 0 && len(d.block) < maxHeader {
		return len(p)
	}
	if end >= 0 {
		d.block = d.block[:end]
	}
	end = len(d.block)
	d.finishHeader()
	return end - seen
}

// headerEnd returns the index after the empty line that ends a header block, -1 if
// block has none. The octets before from have been searched already.
func headerEnd(block []byte, from int) int {
	if end := leadingEmptyLine(block); end > 0 {
		return end // the message has no header
	}
	from = max(0, from-3) // the line end before, and half of the empty line
	for {
		i := bytes.IndexByte(block[from:], '\n')
		if i < 0 {
			return -1
		}
		from += i + 1
		if end := leadingEmptyLine(block[from:]); end > 0 {
			return from + end
		}
	}
}

// leadingEmptyLine returns the length of the empty line that b begins with, 0 if it begins
// with another one.
func leadingEmptyLine(b []byte) int {
	switch {
	case bytes.HasPrefix(b, []byte("\n")):
		return 1
	case bytes.HasPrefix(b, []byte("\r\n")):
		return 2
	}
	return 0
}

func (d *Identifier) finishHeader() {
	d.whole = true
	d.sum = shortSum(d.block)
	d.field = parseFields(d.block)
	d.body = sha256.New()
	d.block = nil
}

// Identity returns the identity of the message that was written so far. If only the
// header block was written, the digest of the body is that of an empty one.
func (d *Identifier) Identity() Identity {
	if !d.whole {
		d.finishHeader()
	}
	id := Identity{Fingerprint: d.field.fingerprint(0), Weak: d.field.weak(), Block: d.sum, bare: d.field.bare()}
	copy(id.Body[:], d.body.Sum(nil))
	return id
}

// Beneath returns the fingerprints that the message had before its topmost Received
// fields were added: with the first one left aside, with the first two, and so on,
// most in all. Fetchers put such fields in front of what they deliver.
func (d *Identifier) Beneath(most int) []Fingerprint {
	if !d.whole {
		d.finishHeader()
	}
	var all []Fingerprint
	for n := 1; n <= min(most, len(d.field.identity[received])); n++ {
		all = append(all, d.field.fingerprint(n))
	}
	return all
}

// fields are the fields of a header block in canonical form: unfolded, with one
// space for each run of white space and none at the ends, so that a program that
// folds them differently changes nothing.
type fields struct {
	identity [len(identityFields)][][]byte // values by name, in the order of the message
	others   [][]byte                      // whole fields, without status fields; nil if an identity field but Received is there
}

// bare reports whether there is no identity field.
func (f *fields) bare() bool {
	return !slices.ContainsFunc(f.identity[:], func(values [][]byte) bool { return len(values) > 0 })
}

func (f *fields) weak() bool { return len(f.identity[messageID])+len(f.identity[received]) == 0 }

// fingerprint returns the digest of the identity fields, except the first Received
// fields; without is their number. If none is left, it is the digest of all other fields.
func (f *fields) fingerprint(without int) Fingerprint {
	h := sha256.New()
	none := true
	for i, values := range f.identity {
		if i == received {
			values = values[without:]
		}
		for _, v := range values {
			none = false
			h.Write([]byte(identityFields[i] + ":"))
			h.Write(v)
			h.Write([]byte("\n"))
		}
	}
	if none {
		for _, v := range f.others {
			h.Write(v)
			h.Write([]byte("\n"))
		}
	}
	return Fingerprint(h.Sum(nil)[:16])
}

// parseFields reads a header block. Lines that belong to no field are left out, and
// so are identity fields without a value.
func parseFields(block []byte) (f fields) {
	for name, value := range eachField(block) {
		if i := identityField(name); i >= 0 {
			if value = canonical(value); len(value) > 0 {
				f.identity[i] = append(f.identity[i], value)
			}
		}
	}
	if f.onlyReceived() {
		f.others = otherFields(block)
	}
	return f
}

// onlyReceived reports whether there is no identity field but Received.
func (f *fields) onlyReceived() bool {
	for i, values := range f.identity {
		if i != received && len(values) > 0 {
			return false
		}
	}
	return true
}

// identityField returns the index of a name in identityFields, -1 if it is not there.
func identityField(name []byte) int {
	var buf [16]byte
	if len(name) > len(buf) {
		return -1
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	for i, want := range identityFields {
		if string(buf[:len(name)]) == want {
			return i
		}
	}
	return -1
}

// otherFields returns the fields that are neither identity fields nor status fields.
func otherFields(block []byte) (all [][]byte) {
	for name, value := range eachField(block) {
		lower := bytes.ToLower(name)
		if identityField(name) < 0 && !slices.Contains(statusFields, string(lower)) {
			all = append(all, slices.Concat(lower, []byte(":"), canonical(value)))
		}
	}
	return all
}

// canonical returns the value of a field with one space for each run of white space and
// none at the ends.
func canonical(value []byte) []byte {
	all := make([]byte, 0, len(value))
	for word := range bytes.FieldsSeq(value) {
		if len(all) > 0 {
			all = append(all, ' ')
		}
		all = append(all, word...)
	}
	return all
}

// eachField yields the names and raw values of the fields of a header block.
func eachField(block []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for len(block) > 0 {
			var field []byte
			field, block = cutField(block)
			name, value, ok := bytes.Cut(field, []byte(":"))
			name = bytes.TrimRight(name, " \t")
			if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t\r\n") {
				continue
			}
			if !yield(name, value) {
				return
			}
		}
	}
}

// cutField cuts the first line and the lines that continue it off a header block (RFC
// 5322 section 2.2.3).
func cutField(block []byte) (field, rest []byte) {
	end := 0
	for {
		i := bytes.IndexByte(block[end:], '\n')
		if i < 0 {
			return block, nil
		}
		end += i + 1
		if end == len(block) || block[end] != ' ' && block[end] != '\t' {
			return block[:end], block[end:]
		}
	}
}

func shortSum(b []byte) (sum [16]byte) {
	whole := sha256.Sum256(b)
	copy(sum[:], whole[:])
	return sum
}
