package pop3

import "iter"

// maxUniqueID is generous: RFC 1939 allows 70 octets, and servers send more.
const maxUniqueID = 8000

// UniqueID is one line of the reply to UIDL. RFC 1939 section 7
type UniqueID struct {
	Num int
	ID  []byte // 1 to 8000 octets of any kind but a line end, valid until the next line is asked for
}

// Uidl asks for the unique-ids. Its errors are those of List. RFC 1939 wants 1 to 70
// printable octets without blanks. Uidl takes what real servers send, blanks inside
// included, and drops only blanks at the end.
//
// RFC 1939 section 7 (UIDL)
func (c *Client) Uidl() iter.Seq2[UniqueID, error] {
	return func(yield func(UniqueID, error) bool) {
		scan(c, "UIDL", yield, func(num int, rest []byte) (UniqueID, string) {
			id := trimBlanksRight(rest)
			switch {
			case len(id) == 0:
				return UniqueID{Num: num}, "no unique-id"
			case len(id) > maxUniqueID:
				return UniqueID{Num: num}, "unique-id too long"
			}
			return UniqueID{Num: num, ID: id}, ""
		})
	}
}
