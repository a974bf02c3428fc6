package fetch

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// list reads the listing of the maildrop, without sizes if the server has
// unique-ids. A line that cannot be read costs its message, and is counted.
func (v *visit) list() (*plan.Listing, error) {
	var (
		listing = new(plan.Listing)
		refused *pop3.ResponseError
	)
	if !v.session.Pipelined() {
		// Some simple servers answer UIDL for an empty maildrop without the dot that ends
		// the listing.
		if empty, err := v.empty(); empty || err != nil {
			return listing, err
		}
	}
	size := meter{claim: &v.share}
	for u, err := range v.session.Uidl() {
		var line *pop3.LineError
		switch {
		case err == nil && size.add(u.ID):
			listing.AddUID(u.Num, u.ID)
		case err == nil: // only counted
			listing = new(plan.Listing)
		case errors.As(err, &line):
			v.skipLine(line)
		case !errors.As(err, &refused):
			return nil, err
		}
	}
	if refused != nil { // inside the loop no other command may be sent
		if empty, err := v.empty(); empty || err != nil {
			return listing, denied(refused, err)
		}
		if err := v.lacksUIDL(refused); err != nil {
			return nil, err
		}
		return v.listByHeaders(refused)
	}
	if size.full {
		return nil, &noRoomError{size.octets}
	}
	listing.DropRepeatedNums(func(num int) { v.skipLine(fmt.Errorf("UIDL lists message %d twice", num)) })
	listing.MarkTwins()
	return listing, nil
}

// empty reports whether the server says that the maildrop has no messages (RFC 1939
// section 5, STAT). That is the answer then, whatever it says to UIDL and LIST.
func (v *visit) empty() (bool, error) {
	var (
		refused *pop3.ResponseError
		odd     *pop3.LineError
	)
	messages, _, err := v.session.Stat()
	switch {
	case errors.As(err, new(*pop3.AuthError)): // the session has not begun, as auth = "none" says
		return false, err
	case errors.As(err, &refused) && !temporaryCode(refused.Code), errors.As(err, &odd):
		return false, nil // the listings will tell
	case err != nil:
		return false, err
	}
	return messages == 0, nil
}

// lacksUIDL returns nil if the refusal means that the server has no unique-ids. If it
// merely refuses them now, other ids must not replace them: all messages would count
// as new.
func (v *visit) lacksUIDL(refused *pop3.ResponseError) error {
	if temporaryCode(refused.Code) || v.session.Capabilities().Has("UIDL") {
		return refused
	}
	had := false
	err := v.memory.Scan(func(known iter.Seq2[[]byte, state.Record]) {
		for id := range known {
			if had = plan.IsUID(id); had {
				break
			}
		}
	})
	if err == nil && had {
		return fmt.Errorf("the server has given unique-ids before and does not now: %w", refused)
	}
	return err
}

// listByHeaders replaces UIDL, which RFC 1939 section 7 leaves optional: the id of a
// message is its fingerprint.
func (v *visit) listByHeaders(refused error) (*plan.Listing, error) {
	v.log.Debug("no unique-ids, using fingerprints of header blocks", "reason", refused)
	scanned, err := v.scanByNumber()
	if err != nil {
		return nil, err
	}
	nums := make([]int, len(scanned))
	for i, s := range scanned {
		nums[i] = s.Num
	}
	if err := v.showHeaders(nums); err != nil {
		return nil, err
	}
	listing := new(plan.Listing)
	for _, s := range scanned {
		shown := v.shown[s.Num]
		switch {
		case shown != nil:
			listing.Add(plan.Listed{Num: s.Num, ID: plan.HeaderID(*shown), Octets: s.Octets})
		case !v.session.Capabilities().Has("TOP"):
			return nil, &NoUIDLError{refused}
		default:
			v.skipLine(fmt.Errorf("the server does not show the header block of message %d", s.Num))
		}
	}
	listing.MarkTwins()
	return listing, nil
}

func byNumber(a, b pop3.ScanListing) int { return a.Num - b.Num }

// scanByNumber reads the scan listing in the order of the numbers. Of two lines for
// one message the last one counts.
func (v *visit) scanByNumber() ([]pop3.ScanListing, error) {
	var scanned []pop3.ScanListing
	if err := v.scan(v.skipLine, func(s pop3.ScanListing) { scanned = append(scanned, s) }); err != nil {
		return nil, err
	}
	slices.Reverse(scanned)
	slices.SortStableFunc(scanned, byNumber)
	return slices.CompactFunc(scanned, func(a, b pop3.ScanListing) bool { return a.Num == b.Num }), nil
}

// listSizes asks for the sizes of the listed messages. A line that cannot be read
// leaves a size unknown, and a refusal leaves all unknown.
func (v *visit) listSizes() error {
	if v.without.list {
		return nil
	}
	sizes := v.listing.Sizes()
	unknown := func(err error) { v.notices.add(slog.LevelDebug, "the size of a message is not known", "reason", err) }
	err := v.scan(unknown, func(l pop3.ScanListing) { sizes.Set(l.Num, l.Octets) })
	var refused *pop3.ResponseError
	if errors.As(err, &refused) && !temporaryCode(refused.Code) {
		v.log.Debug("the sizes of the messages are not known", "reason", err)
		return v.stillOpen(refused)
	}
	return err
}

// scan reads the scan listing (RFC 1939 section 5, LIST). It calls got for each
// line, and bad for one that cannot be read.
func (v *visit) scan(bad func(error), got func(pop3.ScanListing)) error {
	for l, err := range v.session.List() {
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

// skipLine counts a message that is lost to a line of a listing that cannot be
// read.
func (v *visit) skipLine(err error) {
	v.lostLines++
	v.skipped++
	v.notices.add(slog.LevelWarn, "a line of the listing makes no sense; its message is skipped", "reason", err)
}
