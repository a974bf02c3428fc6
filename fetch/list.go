package fetch

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// NoUIDLError is a server whose messages cannot be told apart.
type NoUIDLError struct{ Err error }

func (e *NoUIDLError) Error() string {
	return fmt.Sprintf("the server has neither unique-ids (UIDL) nor TOP, so popfetch cannot tell which messages it has fetched: %v", e.Err)
}

// Unwrap returns the refusal of UIDL.
func (e *NoUIDLError) Unwrap() error { return e.Err }

// list reads the listing of the maildrop, without sizes where the server has
// unique-ids. Lines that make no sense cost their message, and are counted.
func (p *poll) list() (*plan.Listing, error) {
	var (
		listing = new(plan.Listing)
		refused *pop3.ResponseError
	)
	for u, err := range p.session.Uidl() {
		var line *pop3.LineError
		switch {
		case err == nil:
			// A long unique-id is shortened here, before there are many.
			listing.AddUID(u.Num, u.ID)
		case errors.As(err, &line):
			p.skipLine(line)
		case !errors.As(err, &refused):
			return nil, err
		}
	}
	if refused != nil { // no other command may be sent inside the loop
		if err := p.lacksUIDL(refused); err != nil {
			return nil, err
		}
		return p.listByDigest(refused)
	}
	listing.DropRepeatedNums(func(num int) { p.skipLine(fmt.Errorf("UIDL lists message %d twice", num)) })
	listing.MarkTwins()
	return listing, nil
}

// lacksUIDL returns nil where the refusal means that the server has no
// unique-ids. Where it only does not give them now, nothing else may stand in
// for them: all messages would count as new.
func (p *poll) lacksUIDL(refused *pop3.ResponseError) error {
	if temporaryCode(refused.Code) || p.session.Capabilities().Has("UIDL") {
		return refused
	}
	had := false
	err := p.Maildrop.Scan(func(known iter.Seq2[[]byte, state.Record]) error {
		for id := range known {
			if had = !bytes.HasPrefix(id, []byte(digestMark)); had {
				break
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return &StateError{err}
	case had:
		return fmt.Errorf("the server has given unique-ids before and does not now: %w", refused)
	}
	return nil
}

// digestMark begins what a message is remembered by that has no unique-id.
const digestMark = "digest:"

// listByDigest stands in for UIDL, which RFC 1939 section 7 leaves optional: a
// message is known by its size and the digest of its header block.
func (p *poll) listByDigest(refused error) (*plan.Listing, error) {
	p.log.Debug("no unique-ids, using digests of header blocks", "reason", refused)
	var scanned []pop3.ScanListing
	if err := p.scan(p.skipLine, func(s pop3.ScanListing) { scanned = append(scanned, s) }); err != nil {
		return nil, err
	}
	byNumber := func(a, b pop3.ScanListing) int { return a.Num - b.Num }
	slices.Reverse(scanned) // of two lines for one message the last one counts
	slices.SortStableFunc(scanned, byNumber)
	scanned = slices.CompactFunc(scanned, func(a, b pop3.ScanListing) bool { return a.Num == b.Num })
	nums := make([]int, len(scanned))
	for i, s := range scanned {
		nums[i] = s.Num
	}
	listing := new(plan.Listing)
	for m, err := range p.session.Top(nums, 0) {
		var no *pop3.ResponseError
		if errors.As(err, &no) {
			if !p.session.Capabilities().Has("TOP") {
				return nil, &NoUIDLError{refused}
			}
			p.skipLine(no)
			continue
		}
		if err != nil {
			return nil, err
		}
		sum, err := plan.DigestOf(m.Body)
		if err != nil {
			return nil, fmt.Errorf("TOP %d 0: %w", m.Num, err)
		}
		i, _ := slices.BinarySearchFunc(scanned, pop3.ScanListing{Num: m.Num}, byNumber)
		octets := scanned[i].Octets
		listing.Add(plan.Listed{Num: m.Num, ID: fmt.Sprintf(digestMark+"%x:%d", sum, octets), Octets: octets})
	}
	listing.MarkTwins()
	return listing, nil
}

// sizes asks for the sizes of what is listed.
func (p *poll) sizes(listing *plan.Listing) error {
	s := listing.Sizes()
	unknown := func(err error) { p.log.Debug("the size of a message is not known", "reason", err) }
	return p.scan(unknown, func(l pop3.ScanListing) { s.Set(l.Num, l.Octets) })
}

// scan reads the scan listing (RFC 1939 section 5, LIST) and calls got for each
// line, bad for one that makes no sense.
func (p *poll) scan(bad func(error), got func(pop3.ScanListing)) error {
	for l, err := range p.session.List() {
		var line *pop3.LineError
		switch {
		case errors.As(err, &line):
			bad(line)
		case err != nil:
			return err
		default:
			got(l)
		}
	}
	return nil
}
