package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"
)

// Every value in the file is sealed: its last 4 octets are a CRC-32C over the
// key it stands under and the octets before them. bbolt has a checksum for its
// meta pages only, so without this a flipped bit in a record would be believed.
//
// The first octet of a record and of an intent is the version of its encoding.
const (
	recordVersion = 1
	intentVersion = 1
	sealSize      = crc32.Size
)

// The second octet of a record says which of the optional fields follow.
const (
	hasDelivered = 1 << iota
	hasDigest
	hasAbsent
	hasReason
	isDeleted
	allFlags = 1<<iota - 1
)

var errBroken = errors.New("does not match its checksum")

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
	var flags byte
	b := append(make([]byte, 0, 48+len(r.Reason)), recordVersion, 0)
	if !r.Delivered.IsZero() {
		flags |= hasDelivered
		b = binary.AppendVarint(b, r.Delivered.Unix())
	}
	b = binary.AppendVarint(b, r.Octets)
	if r.Digest != [16]byte{} {
		flags |= hasDigest
		b = append(b, r.Digest[:]...)
	}
	if !r.Absent.IsZero() {
		flags |= hasAbsent
		b = binary.AppendVarint(b, r.Absent.Unix())
	}
	b = binary.AppendVarint(b, int64(r.Absences))
	b = binary.AppendVarint(b, int64(r.Failures))
	if r.Reason != "" {
		flags |= hasReason
		b = appendString(b, r.Reason)
	}
	if r.Deleted {
		flags |= isDeleted
	}
	b[1] = flags
	return seal(id, b)
}

// decodeRecord reads what encodeRecord has made. It keeps nothing of value.
func decodeRecord(id, value []byte) (Record, error) {
	d, err := newDecoder(id, value, recordVersion)
	if err != nil {
		return Record{}, err
	}
	var r Record
	flags := d.octet()
	if flags&^allFlags != 0 {
		return Record{}, fmt.Errorf("has unknown flags %#x", flags)
	}
	if flags&hasDelivered != 0 {
		r.Delivered = d.time()
	}
	r.Octets = d.varint()
	if flags&hasDigest != 0 {
		copy(r.Digest[:], d.take(len(r.Digest)))
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
	return r, d.end()
}

// encodeIntent returns the sealed form of an intent under its id.
func encodeIntent(id []byte, in Intent) []byte {
	b := append(make([]byte, 0, 16+len(in.Kind)+len(in.Note)), intentVersion)
	b = appendString(b, in.Kind)
	b = appendString(b, in.Note)
	return seal(id, b)
}

// decodeIntent reads what encodeIntent has made. It keeps nothing of value.
func decodeIntent(id, value []byte) (Intent, error) {
	d, err := newDecoder(id, value, intentVersion)
	if err != nil {
		return Intent{}, err
	}
	in := Intent{Kind: d.string(), Note: d.string()}
	return in, d.end()
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decoder takes fields off the front of a payload. After the first that is not
// there it returns zeros, and end says so.
type decoder struct {
	rest  []byte
	short bool
}

// newDecoder checks seal and version of a value. The seal stands where it
// stands in every version, so a newer one can be told from a broken one.
func newDecoder(key, value []byte, version byte) (decoder, error) {
	payload, err := unseal(key, value)
	if err != nil {
		return decoder{}, err
	}
	d := decoder{rest: payload}
	switch v := d.octet(); {
	case d.short || v == 0:
		return decoder{}, errors.New("has no version")
	case v > version:
		return decoder{}, fmt.Errorf("%w: record version %d, this popfetch knows %d", ErrVersion, v, version)
	}
	return d, nil
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.rest) {
		d.short, d.rest = true, nil
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) octet() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		n = -1
	}
	d.take(n)
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		n = -1
	}
	d.take(n)
	return v
}

func (d *decoder) int() int {
	v := d.varint()
	if v < math.MinInt || v > math.MaxInt {
		d.short = true
	}
	return int(v)
}

func (d *decoder) time() time.Time { return time.Unix(d.varint(), 0).UTC() }

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.short, d.rest = true, nil
		return ""
	}
	return string(d.take(int(n)))
}

func (d *decoder) end() error {
	switch {
	case d.short:
		return errors.New("ends in the middle of a field")
	case len(d.rest) > 0:
		return fmt.Errorf("has %d octets too many", len(d.rest))
	}
	return nil
}
