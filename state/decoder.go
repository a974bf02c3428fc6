package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// decoder reads the fields of a value one after the other. After the first that
// cannot be read it returns zeros, and end returns the error.
type decoder struct {
	rest []byte
	err  error
}

// newDecoder checks the seal of a value and returns its version, from 1 to newest.
// The seal and the version have the same place in every version, so a value of a
// newer popfetch is distinguished from a broken one: the error is ErrVersion.
func newDecoder(key, value []byte, newest byte) (d decoder, version byte, err error) {
	payload, err := unseal(key, value)
	if err != nil {
		return decoder{}, 0, err
	}
	d = decoder{rest: payload}
	switch version = d.octet(); {
	case version == 0:
		return decoder{}, 0, errors.New("has no version")
	case version > newest:
		return decoder{}, 0, fmt.Errorf("%w: version %d, this popfetch knows %d", ErrVersion, version, newest)
	}
	return d, version, nil
}

// fail ends the reading. The first error stays.
func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.rest = nil
}

// next returns the next n octets, or nil if there are fewer.
func (d *decoder) next(n int) []byte {
	if n < 0 || n > len(d.rest) {
		d.fail(errShort)
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) octet() byte {
	if b := d.next(1); b != nil {
		return b[0]
	}
	return 0
}

// flags returns the flags of a record if none is unknown.
func (d *decoder) flags(flags, known uint64) uint64 {
	if flags&^known != 0 {
		d.fail(fmt.Errorf("has unknown flags %#x", flags))
	}
	return flags
}

// optionalTime reads what appendTime wrote.
func (d *decoder) optionalTime() time.Time {
	if d.octet() == 0 {
		return time.Time{}
	}
	return d.time()
}

func (d *decoder) uint32() uint32 {
	if b := d.next(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// seconds reads a duration in whole seconds.
func (d *decoder) seconds() time.Duration {
	v := d.varint()
	if v > math.MaxInt64/int64(time.Second) || v < math.MinInt64/int64(time.Second) {
		d.fail(errors.New("has a duration that is too long"))
		return 0
	}
	return time.Duration(v) * time.Second
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		n = -1
	}
	d.next(n)
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		n = -1
	}
	d.next(n)
	return v
}

func (d *decoder) int() int {
	v := d.varint()
	if v < math.MinInt || v > math.MaxInt {
		d.fail(errors.New("has a number that is too large for this machine"))
	}
	return int(v)
}

func (d *decoder) time() time.Time { return time.Unix(d.varint(), 0).UTC() }

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.fail(errShort)
		return ""
	}
	return string(d.next(int(n)))
}

// end returns why the fields could not be read, or that octets are left over.
func (d *decoder) end() error {
	if d.err == nil && len(d.rest) > 0 {
		return fmt.Errorf("has %d octets too many", len(d.rest))
	}
	return d.err
}
