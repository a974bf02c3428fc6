package state

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// Every value in the file is sealed: its last 4 octets are a CRC-32C over the key
// under which it is stored and the octets before them. bbolt has a checksum for its
// meta pages only, so a flipped bit in a record would be believed without this.
//
// The first octet of a record and of an intent is the version of its encoding. These
// are the versions that are written; every older one is read, see the package
// comment.
const (
	recordVersion = 4
	intentVersion = 1
	sealSize      = crc32.Size
)

// The version of a record is followed by flags: which of the optional fields are there,
// in this order, and what is true of the message. Version 1 has the first five flags in
// one octet, later versions have a uvarint.
const (
	hasDelivered = 1 << iota
	hasDigest
	hasAbsent
	hasReason
	isDeleted
	hasFingerprint
	hasBody
	hasNonce
	hasObserved
	hasFailures
	isUnproven
	hasTried
	isPutBack
	hasProgress
	isStrong
	isMoved
	isKept
	allFlags  = 1<<iota - 1
	allFlags3 = hasProgress<<1 - 1
	allFlags2 = isPutBack<<1 - 1
	allFlags1 = isDeleted<<1 - 1
)

var (
	errBroken = errors.New("does not match its checksum")
	errShort  = errors.New("ends in the middle of a field")
)

// seal appends the checksum of payload under key to payload.
func seal(key, payload []byte) []byte {
	return binary.BigEndian.AppendUint32(payload, checksum(key, payload))
}

// unseal returns the payload of a sealed value without copying it.
func unseal(key, value []byte) ([]byte, error) {
	n := len(value) - sealSize
	if n < 0 || sealOf(value) != checksum(key, value[:n]) {
		return nil, errBroken
	}
	return value[:n], nil
}

// sealOf returns the checksum at the end of a sealed value.
func sealOf(value []byte) uint32 { return binary.BigEndian.Uint32(value[len(value)-sealSize:]) }

func checksum(key, payload []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(key, table), table, payload)
}

// encodeRecord returns the sealed form of a record under its id.
func encodeRecord(id []byte, r Record) []byte {
	flags := r.flags()
	b := append(make([]byte, 0, 64+len(r.Reason)), recordVersion)
	b = binary.AppendUvarint(b, flags)
	b = binary.AppendVarint(b, r.Octets)
	if flags&hasDelivered != 0 {
		b = binary.AppendVarint(b, r.Delivered.Unix())
	}
	if flags&hasDigest != 0 {
		b = append(b, r.Digest[:]...)
	}
	if flags&hasAbsent != 0 {
		b = appendTime(b, r.Absent)
		b = appendTime(b, r.Counted)
		b = binary.AppendVarint(b, int64(r.Absences))
	}
	if flags&hasReason != 0 {
		b = appendString(b, r.Reason)
	}
	if flags&hasFingerprint != 0 {
		b = append(b, r.Fingerprint[:]...)
	}
	if flags&hasBody != 0 {
		b = append(b, r.Body[:]...)
	}
	if flags&hasNonce != 0 {
		b = binary.BigEndian.AppendUint32(b, r.Nonce)
	}
	if flags&hasObserved != 0 {
		b = binary.AppendVarint(b, int64(r.Observed/time.Second))
	}
	if flags&hasFailures != 0 {
		b = binary.AppendVarint(b, int64(r.Failures))
	}
	if flags&hasTried != 0 {
		b = binary.AppendVarint(b, r.Tried.Unix())
	}
	if flags&hasProgress != 0 {
		b = appendString(b, r.Progress)
	}
	return seal(id, b)
}

// flags returns the flags of a record of the newest version.
func (r Record) flags() (flags uint64) {
	for _, f := range []struct {
		flag uint64
		set  bool
	}{
		{hasDelivered, !r.Delivered.IsZero()},
		{hasDigest, r.Digest != [16]byte{}},
		{hasAbsent, !r.Absent.IsZero() || !r.Counted.IsZero() || r.Absences != 0},
		{hasReason, r.Reason != ""},
		{isDeleted, r.Deleted},
		{hasFingerprint, r.Fingerprint != [16]byte{}},
		{hasBody, r.Body != [16]byte{}},
		{hasNonce, r.Nonce != 0},
		{hasObserved, r.Observed/time.Second != 0},
		{hasFailures, r.Failures != 0},
		{isUnproven, r.Unproven},
		{isPutBack, r.PutBack},
		{hasTried, !r.Tried.IsZero()},
		{hasProgress, r.Progress != ""},
		{isStrong, r.Strong},
		{isMoved, r.Moved},
		{isKept, r.Kept},
	} {
		if f.set {
			flags |= f.flag
		}
	}
	return flags
}

// decodeRecord reads a record of any version up to recordVersion. The record does not
// refer to the memory of value.
func decodeRecord(id, value []byte) (r Record, err error) {
	d, version, err := newDecoder(id, value, recordVersion)
	if err != nil {
		return Record{}, err
	}
	switch version {
	case 1:
		r = d.record1()
	case 2:
		r = d.record(allFlags2)
	case 3:
		r = d.record(allFlags3)
	case 4:
		r = d.record(allFlags)
	}
	if err := d.end(); err != nil {
		return Record{}, err
	}
	return r, nil
}

// record reads the fields of a record of version 2 or later, which has these flags at most.
func (d *decoder) record(known uint64) (r Record) {
	flags := d.flags(d.uvarint(), known)
	r.Octets = d.varint()
	if flags&hasDelivered != 0 {
		r.Delivered = d.time()
	}
	if flags&hasDigest != 0 {
		copy(r.Digest[:], d.next(len(r.Digest)))
	}
	if flags&hasAbsent != 0 {
		r.Absent, r.Counted, r.Absences = d.optionalTime(), d.optionalTime(), d.int()
	}
	if flags&hasReason != 0 {
		r.Reason = d.string()
	}
	if flags&hasFingerprint != 0 {
		copy(r.Fingerprint[:], d.next(len(r.Fingerprint)))
	}
	if flags&hasBody != 0 {
		copy(r.Body[:], d.next(len(r.Body)))
	}
	if flags&hasNonce != 0 {
		r.Nonce = d.uint32()
	}
	if flags&hasObserved != 0 {
		r.Observed = d.seconds()
	}
	if flags&hasFailures != 0 {
		r.Failures = d.int()
	}
	if flags&hasTried != 0 {
		r.Tried = d.time()
	}
	if flags&hasProgress != 0 {
		r.Progress = d.string()
	}
	r.Deleted, r.Unproven = flags&isDeleted != 0, flags&isUnproven != 0
	r.PutBack, r.Strong, r.Moved, r.Kept = flags&isPutBack != 0, flags&isStrong != 0, flags&isMoved != 0, flags&isKept != 0
	return r
}

// record1 reads the fields of a record of version 1.
func (d *decoder) record1() (r Record) {
	flags := d.flags(uint64(d.octet()), allFlags1)
	if flags&hasDelivered != 0 {
		r.Delivered = d.time()
	}
	r.Octets = d.varint()
	if flags&hasDigest != 0 {
		copy(r.Digest[:], d.next(len(r.Digest)))
	}
	if flags&hasAbsent != 0 {
		r.Absent = d.time()
	}
	r.Absences = d.int()
	r.Failures = d.int()
	if flags&hasReason != 0 {
		r.Reason = d.string()
	}
	r.Deleted = flags&isDeleted != 0
	return r
}

// encodeIntent returns the sealed form of an intent under its id.
func encodeIntent(id []byte, in Intent) []byte {
	b := append(make([]byte, 0, 16+len(in.Kind)+len(in.Note)), intentVersion)
	b = appendString(b, in.Kind)
	b = appendString(b, in.Note)
	return seal(id, b)
}

// decodeIntent reads an intent of any version up to intentVersion. The intent does not
// refer to the memory of value.
func decodeIntent(id, value []byte) (in Intent, err error) {
	d, version, err := newDecoder(id, value, intentVersion)
	if err != nil {
		return Intent{}, err
	}
	switch version {
	case 1:
		in.Kind, in.Note = d.string(), d.string()
	}
	if err := d.end(); err != nil {
		return Intent{}, err
	}
	return in, nil
}

// appendTime appends a time, or that there is none. The zero time has no place among
// Unix times.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	return binary.AppendVarint(append(b, 1), t.Unix())
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
