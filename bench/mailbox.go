//go:build linux

package main

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// box describes the content of a maildrop.
type box struct {
	kind   string // boxes of one kind share their texts
	count  int    // messages
	texts  int    // distinct texts among them
	octets func(*rand.Rand) int
}

// mixed resembles real mail: half of the messages are smaller than 8 KiB, one in 200 has 1
// to 5 MiB.
func mixed(count int) box {
	return box{"mixed", count, count, func(r *rand.Rand) int {
		if r.IntN(200) == 0 {
			return 1<<20 + r.IntN(4<<20)
		}
		return int(math.Exp(math.Log(8<<10) + r.NormFloat64()))
	}}
}

// small is a maildrop of messages that are never fetched: only their number matters.
func small(count int) box {
	return box{"small", count, min(count, 100), func(*rand.Rand) int { return 1500 }}
}

// huge is one message of 200 MiB.
func huge() box {
	return box{"huge", 1, 1, func(*rand.Rand) int { return 200 << 20 }}
}

// recipe determines a text.
type recipe struct {
	number int
	octets int
	seed   uint64
}

// recipes yields the recipes of a box, the same ones in every run of the program.
func (b box) recipes() iter.Seq[recipe] {
	return func(yield func(recipe) bool) {
		r := rand.New(rand.NewPCG(1939, 2449))
		for i := range b.texts {
			octets := b.octets(r)
			if !yield(recipe{i, octets, r.Uint64()}) {
				return
			}
		}
	}
}

// masters returns the paths of the texts of a box in dir. It writes those that are missing,
// and calls own for each of them.
func (b box) masters(dir string, own func(path string) error) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var paths []string
	for r := range b.recipes() {
		path := filepath.Join(dir, fmt.Sprintf("%s%06d", b.kind, r.number))
		paths = append(paths, path)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := os.WriteFile(path, r.compose(), 0o600); err != nil {
			return nil, err
		}
		if err := own(path); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// compose returns the message, of about x.octets, with LF line ends.
func (x recipe) compose() []byte {
	r := rand.New(rand.NewPCG(x.seed, 0))
	var text bytes.Buffer
	fmt.Fprintf(&text, "Return-Path: <list@example.org>\nFrom: Someone <someone@example.org>\nTo: me@example.org\n"+
		"Subject: message %d\nMessage-ID: <%d.%x@example.org>\nDate: Mon, 05 Oct 2026 10:00:00 +0000\n\n", x.number, x.number, r.Uint64())
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"
	line := make([]byte, 77)
	for text.Len() < x.octets {
		for k := 0; k < 76; k += 4 {
			v := r.Uint32()
			for j := range 4 {
				line[k+j] = letters[v>>(8*j)&63]
			}
		}
		line[76] = '\n'
		if r.IntN(50) == 0 {
			line[0] = '.' // to be stuffed on the wire
		}
		text.Write(line[r.IntN(8)*9:])
	}
	return text.Bytes()
}
