package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"iter"
	"strconv"
)

// maxUID is the longest unique-id, in octets, that is recorded as it is. RFC 1939
// section 7 allows 70; some servers send longer ones.
const maxUID = 512

// twinMark separates a unique-id from the number of a twin in an id.
const twinMark = "\x00"

// recordedID returns the id under which a unique-id is recorded: uid itself, not
// copied, unless it is too long or contains twinMark.
func recordedID(uid []byte) []byte {
	if len(uid) <= maxUID && bytes.IndexByte(uid, 0) < 0 {
		return uid
	}
	sum := sha256.Sum256(uid)
	return hex.AppendEncode([]byte("sha256:"), sum[:])
}

// RecordedIDs returns the ids under which unique-ids are recorded that a server has listed
// in this order. Messages that share a unique-id have ids of their own.
func RecordedIDs(uids iter.Seq[string]) iter.Seq[string] {
	return func(yield func(string) bool) {
		count := make(map[string]int)
		for uid := range uids {
			id := string(recordedID([]byte(uid)))
			count[id]++
			if !yield(string(appendTwin(nil, []byte(id), count[id]))) {
				return
			}
		}
	}
}

// appendTwin appends the id of the nth message, from 1, of those that share a
// unique-id. RFC 1939 section 7 allows identical copies to share one; broken
// servers give one to different messages.
func appendTwin(b, id []byte, nth int) []byte {
	b = append(b, id...)
	if nth > 1 {
		b = strconv.AppendInt(append(b, twinMark...), int64(nth), 10)
	}
	return b
}

// headerMark begins the id of a message that has no unique-id.
const headerMark = "digest:"

// HeaderID returns the id under which a message without a unique-id is recorded.
func HeaderID(m Identity) string { return headerMark + hex.EncodeToString(m.Fingerprint[:]) }

// IsUID reports whether a recorded id is a unique-id that the server has given.
func IsUID(id []byte) bool {
	return !bytes.HasPrefix(id, []byte(headerMark)) && !bytes.HasPrefix(id, []byte(displacedMark))
}

// DeliveryID names the delivery of one message from one maildrop. Every attempt has the
// same nonce and so the same name, and a receiver can drop a repeat; another message
// under the same id has another nonce. Nonce 0 is for attempts that are in a record of
// version 1.
func DeliveryID(maildrop, id string, nonce uint32) string {
	name := append([]byte(maildrop), 0)
	name = append(name, id...)
	if nonce != 0 {
		name = binary.BigEndian.AppendUint32(append(name, 0), nonce)
	}
	sum := sha256.Sum256(name)
	return hex.EncodeToString(sum[:16])
}
