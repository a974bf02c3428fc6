package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// maxUID is the longest unique-id, in octets, that is recorded as it is. RFC 1939
// section 7 allows 70; some servers send longer ones.
const maxUID = 512

// twinMark separates a unique-id from the number of a twin in an id.
const twinMark = "\x00"

// recordedID returns what a unique-id is recorded under. That is uid itself,
// uncopied, unless it is too long or contains twinMark.
func recordedID(uid []byte) []byte {
	if len(uid) <= maxUID && bytes.IndexByte(uid, 0) < 0 {
		return uid
	}
	sum := sha256.Sum256(uid)
	return hex.AppendEncode([]byte("sha256:"), sum[:])
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

// DeliveryID names the delivery of one message from one maildrop. Every attempt
// has the same name, so a receiver can drop a repeat.
func DeliveryID(maildrop, id string) string {
	sum := sha256.Sum256([]byte(maildrop + "\x00" + id))
	return hex.EncodeToString(sum[:16])
}
