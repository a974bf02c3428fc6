package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"popfetch/fetch/pop3"
	"popfetch/state"
)

// Listed is one message of a maildrop as the server lists it in this session.
type Listed struct {
	Num      int    // message number, of this session only
	ID       string // what the message is remembered by
	Octets   int64  // size as the server announces it, -1 = not asked
	Repeated bool   // other messages of this listing have the same unique-id
}

// UID returns the unique-id for people and for the destination.
func (l Listed) UID() string {
	uid, _, _ := strings.Cut(l.ID, twinMark)
	return uid
}

// maxUID is the longest unique-id, in octets, that is remembered as it is. The
// standard allows 70 (RFC 1939 section 7); servers send longer ones.
const maxUID = 512

// twinMark stands in an id between a unique-id and the number of a twin.
const twinMark = "\x00"

// idOf returns what a unique-id is remembered by, and that of its nth twin: the
// standard allows identical copies to share a unique-id, and broken servers
// give one to different messages.
func idOf(uid string, nth int) string {
	if len(uid) > maxUID || strings.ContainsRune(uid, 0) {
		sum := sha256.Sum256([]byte(uid))
		uid = "sha256:" + hex.EncodeToString(sum[:])
	}
	if nth > 1 {
		uid += twinMark + strconv.Itoa(nth)
	}
	return uid
}

// noUIDL is what is wrong with a server whose messages cannot be told apart.
type noUIDL struct{ cause error }

func (e *noUIDL) Error() string {
	return fmt.Sprintf("the server has neither unique-ids (UIDL) nor TOP, so it cannot be told which messages were fetched already: %v", e.cause)
}

func (e *noUIDL) Unwrap() error { return e.cause }

// list reads the listing of the maildrop, without sizes where the server has
// unique-ids. Lines that make no sense cost their message, and are counted.
func (p *poll) list() ([]Listed, error) {
	var (
		listing []Listed
		refused *pop3.ResponseError
	)
	for u, err := range p.session.Uidl() {
		var line *pop3.LineError
		switch {
		case err == nil:
			// A long unique-id is shortened here, before there are many.
			listing = append(listing, Listed{Num: u.Num, ID: idOf(u.ID, 1), Octets: -1})
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
	listing, twice := dropTwice(listing)
	for _, num := range twice {
		p.skipLine(fmt.Errorf("UIDL lists message %d twice", num))
	}
	name(listing)
	return listing, nil
}

// name turns the unique-ids of a listing into what they are remembered by.
func name(listing []Listed) {
	order := byID(listing)
	for i := 0; i < len(order); {
		uid := listing[order[i]].ID
		first := i
		for ; i < len(order) && listing[order[i]].ID == uid; i++ {
			listing[order[i]].ID = idOf(uid, i-first+1)
		}
		for _, j := range order[first:i] {
			listing[j].Repeated = i-first > 1
		}
	}
}

// dropTwice removes every message whose number was listed before, and returns
// the numbers of what it removed.
func dropTwice(listing []Listed) (kept []Listed, twice []int) {
	ascending := true
	for i := 1; i < len(listing) && ascending; i++ {
		ascending = listing[i-1].Num < listing[i].Num
	}
	if ascending {
		return listing, nil
	}
	seen := make(map[int]bool, len(listing))
	kept = listing[:0]
	for _, l := range listing {
		if seen[l.Num] {
			twice = append(twice, l.Num)
			continue
		}
		seen[l.Num] = true
		kept = append(kept, l)
	}
	return kept, twice
}

// lacksUIDL returns nil where the refusal means that the server has no
// unique-ids. Where it only does not give them now, nothing else may stand in
// for them: all messages would count as new.
func (p *poll) lacksUIDL(refused *pop3.ResponseError) error {
	if temporaryCode(refused.Code) || p.session.Capabilities().Has("UIDL") {
		return refused
	}
	had := false
	err := p.Maildrop.Scan(func(known iter.Seq2[string, state.Record]) error {
		for id := range known {
			if had = !strings.HasPrefix(id, digestMark); had {
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
func (p *poll) listByDigest(refused error) ([]Listed, error) {
	p.log.Debug("no unique-ids, using digests of header blocks", "reason", refused)
	sizes, err := p.sizes(p.skipLine)
	if err != nil {
		return nil, err
	}
	nums := slices.Sorted(maps.Keys(sizes))
	listing := make([]Listed, 0, len(nums))
	for m, err := range p.session.Top(nums, 0) {
		var no *pop3.ResponseError
		if errors.As(err, &no) {
			if !p.session.Capabilities().Has("TOP") {
				return nil, &noUIDL{refused}
			}
			p.skipLine(no)
			continue
		}
		if err != nil {
			return nil, err
		}
		sum, err := digestOf(m.Body)
		if err != nil {
			return nil, fmt.Errorf("TOP %d 0: %w", m.Num, err)
		}
		octets := sizes[m.Num]
		listing = append(listing, Listed{Num: m.Num, ID: fmt.Sprintf(digestMark+"%x:%d", sum, octets), Octets: octets})
	}
	name(listing)
	return listing, nil
}

// sizes reads the scan listing (RFC 1939 section 5, LIST). bad is called for
// each line that makes no sense.
func (p *poll) sizes(bad func(error)) (map[int]int64, error) {
	sizes := make(map[int]int64)
	for l, err := range p.session.List() {
		var line *pop3.LineError
		switch {
		case errors.As(err, &line):
			bad(line)
		case err != nil:
			return nil, err
		default:
			sizes[l.Num] = l.Octets
		}
	}
	return sizes, nil
}
