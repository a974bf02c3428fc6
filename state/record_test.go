package state

import (
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRecordRoundTrip(t *testing.T) {
	day := time.Unix(1_750_000_000, 0).UTC()
	for name, r := range map[string]Record{
		"zero":      {},
		"no octets": {Octets: -1},
		"version 1": {Delivered: day, Octets: 1 << 40, Digest: [16]byte{1, 15: 2}},
		"delivered": {Delivered: day, Octets: 1 << 40, Fingerprint: [16]byte{3, 15: 4}, Body: [16]byte{5}, Nonce: 1 << 31, Observed: 400 * 24 * time.Hour},
		"strong":    {Delivered: day, Fingerprint: [16]byte{3, 15: 4}, Body: [16]byte{5}, Strong: true, Moved: true, Kept: true},
		"unproven":  {Delivered: day, Unproven: true, Deleted: true},
		"put back":  {Delivered: day, PutBack: true},
		"absent":    {Delivered: day, Absent: day.AddDate(0, 0, 30), Absences: 31, Counted: day.AddDate(0, 0, 60)},
		"uncounted": {Counted: day},
		"failed":    {Octets: 7, Failures: 3, Reason: "552 too big \x00\xff", Tried: day},
		"extremes":  {Octets: math.MinInt64, Absences: math.MaxInt, Failures: math.MinInt, Reason: strings.Repeat("x", 1<<16)},
		"old":       {Delivered: time.Unix(-1, 0).UTC(), Absent: time.Unix(0, 0).UTC()},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeRecord([]byte("id"), encodeRecord([]byte("id"), r))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The values are as popfetch has written them in each version.
func TestValuesOfEveryVersionAreRead(t *testing.T) {
	id, day := []byte("00000a5f3a1b2c"), time.Unix(1_750_000_000, 0).UTC()
	for text, want := range map[string]Record{
		// version 1
		"01138086f7840dc243010000000000000000000000000000020000c3bc15cb": {Delivered: day, Octets: 4321, Digest: [16]byte{1, 15: 2}, Deleted: true},
		"01080100060b35353220746f6f20626967b1f424ef":                     {Octets: -1, Failures: 3, Reason: "552 too big"},
		"01058086f7840d0e80928c850d0400757b46e6":                         {Delivered: day, Octets: 7, Absent: day.Add(48 * time.Hour), Absences: 2},
		// version 2
		"02f10bc2438086f7840d01000000000000000000000000000002030000000000000000000000000000000000004da0389ce57992": {Delivered: day, Octets: 4321, Fingerprint: [16]byte{1, 15: 2}, Body: [16]byte{3}, Nonce: 77, Observed: time.Hour, Deleted: true, Unproven: true},
		"028804010b35353220746f6f2062696706f71c9fa9":                                                               {Octets: -1, Failures: 3, Reason: "552 too big"},
		"028814010b35353220746f6f206269670c8086f7840deba745d6":                                                     {Octets: -1, Failures: 6, Reason: "552 too big", Tried: day},
		"02070e8086f7840d090000000000000000000000000000000180928c850d0180d896850d0406bf73e0":                       {Delivered: day, Octets: 7, Digest: [16]byte{9}, Absent: day.Add(48 * time.Hour), Absences: 2, Counted: day.Add(72 * time.Hour)},
		// version 3
		"0388500109343532206c617465728086f7840d0e6d65406578616d706c652e6f7267c0c869b7": {Octets: -1, Reason: "452 later", Tried: day, Progress: "me@example.org"},
		// version 4
		"04e18307c2438086f7840d01000000000000000000000000000002030000000000000000000000000000000000004da038a03d99a0": {Delivered: day, Octets: 4321, Fingerprint: [16]byte{1, 15: 2}, Body: [16]byte{3}, Strong: true, Moved: true, Kept: true, Nonce: 77, Observed: time.Hour},
	} {
		value, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRecord(id, value)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("version %d: %v\n%s", value[0], err, diff)
		}
	}
	for text, want := range map[string]Intent{
		// version 1
		"01076d61696c6469720c746d702f312e322e686f7374bd90263f": {Kind: "maildir", Note: "tmp/1.2.host"},
	} {
		value, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeIntent(id, value); err != nil || got != want {
			t.Errorf("version %d: %+v, %v", value[0], got, err)
		}
	}
}

func TestRecordIsSmall(t *testing.T) {
	r := Record{Delivered: time.Unix(1_750_000_000, 0), Octets: 100_000, Fingerprint: [16]byte{1}, Body: [16]byte{1}, Strong: true, Nonce: 1 << 31, Observed: 400 * 24 * time.Hour}
	if n := len(encodeRecord([]byte("id"), r)); n > 61 {
		t.Errorf("a plain record takes %d octets", n)
	}
}

func TestRecordBelongsToItsID(t *testing.T) {
	if _, err := decodeRecord([]byte("b"), encodeRecord([]byte("a"), sample(1))); !errors.Is(err, errBroken) {
		t.Errorf("the record of a under b: %v", err)
	}
}

func TestRecordWithAnyBitFlippedIsRefused(t *testing.T) {
	for n := range 16 {
		value := encodeRecord([]byte("id"), sample(n))
		for bit := range 8 * len(value) {
			value[bit/8] ^= 1 << (bit % 8)
			if _, err := decodeRecord([]byte("id"), value); err == nil {
				t.Fatalf("record %d with bit %d flipped was read", n, bit)
			}
			value[bit/8] ^= 1 << (bit % 8)
		}
	}
}

func TestNewerVersionIsToldFromABrokenValue(t *testing.T) {
	id := []byte("id")
	for name, decode := range map[string]func([]byte) error{
		"record": func(v []byte) error { _, err := decodeRecord(id, v); return err },
		"intent": func(v []byte) error { _, err := decodeIntent(id, v); return err },
	} {
		for _, c := range []struct {
			payload string
			newer   bool
		}{{"\x05whatever it is", true}, {"\xff", true}, {"\x00", false}, {"", false}, {"\x01", false}} {
			err := decode(seal(id, []byte(c.payload)))
			if err == nil || errors.Is(err, ErrVersion) != c.newer {
				t.Errorf("%s %q: %v", name, c.payload, err)
			}
		}
	}
}

func FuzzRecord(f *testing.F) {
	for n := range 16 {
		v := encodeRecord([]byte("id"), sample(n))
		f.Add([]byte("id"), v[:len(v)-sealSize])
	}
	in := encodeIntent([]byte("id"), Intent{Kind: "maildir", Note: "tmp/1.2.3"})
	f.Add([]byte("id"), in[:len(in)-sealSize])
	f.Add([]byte(""), []byte{})
	f.Fuzz(func(t *testing.T, id, payload []byte) {
		_, _ = decodeRecord(id, payload) // no seal
		_, _ = decodeIntent(id, payload)
		value := seal(id, append([]byte(nil), payload...))
		if r, err := decodeRecord(id, value); err == nil {
			again, err := decodeRecord(id, encodeRecord(id, r))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r, again); diff != "" {
				t.Error(diff)
			}
		}
		if in, err := decodeIntent(id, value); err == nil {
			again, err := decodeIntent(id, encodeIntent(id, in))
			if err != nil || again != in {
				t.Errorf("%v became %v, %v", in, again, err)
			}
		}
	})
}
