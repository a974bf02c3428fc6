package fetch

import (
	"bytes"
	"context"
	"io"
	"net/mail"
	"slices"
	"strings"
	"time"

	"popfetch/fetch/plan"
	"popfetch/state"
)

// Seeded is what Seed has done with the messages that had no record of a delivery.
type Seeded struct {
	Marked  int // recorded as delivered
	Newer   int // left for the next poll: they came later
	Undated int // left for the next poll: their header blocks do not say when they came
}

// Seed records the messages in the maildrop as delivered although they are not fetched,
// all of them or, if before is not zero, those that came before that time. They are never
// deleted on the server: nothing shows that they are anywhere else.
func (a *Account) Seed(ctx context.Context, before time.Time) (found Seeded, err error) {
	p := a.begin(ctx, nil)
	p.alwaysSizes = true
	p.guard(func() {
		found, err = p.seed(before)
		p.fail(err)
	})
	p.guard(p.end)
	return found, p.outcome()
}

func (p *poll) seed(before time.Time) (found Seeded, err error) {
	if err := p.enter(); err != nil {
		return found, err
	}
	v := p.visit
	undelivered := v.listing.Items(func(i int) bool {
		verdict := v.plan.Verdicts[i]
		return verdict != plan.Seen && verdict != plan.Due && verdict != plan.Suspect
	})
	arrivals := make(map[int]time.Time)
	// Fingerprints recognise the messages if the server gives them other unique-ids.
	if !v.noHeaders() {
		err := v.readHeaders(undelivered.Nums(), func(num int, header io.Reader) (*plan.Identity, error) {
			var text headBuffer
			id, err := identityOf(io.TeeReader(header, &text))
			if came := arrival(text.Bytes()); !came.IsZero() {
				arrivals[num] = came
			}
			return id, err
		})
		if err != nil {
			return found, v.because(err)
		}
	}
	var entries []state.Entry
	for it := range undelivered.All() {
		came, dated := arrivals[it.Num]
		switch {
		case before.IsZero() || dated && came.Before(before):
		case dated:
			found.Newer++
			continue
		default:
			found.Undated++
			continue
		}
		r := state.Record{Delivered: v.when.Now, Octets: it.Octets, Observed: v.when.Observed, Unproven: true}
		if shown := v.shown[it.Num]; shown != nil {
			r.Fingerprint = shown.Fingerprint
		}
		entries = append(entries, state.Entry{ID: it.ID, Record: r})
	}
	if err := p.memory.Commit(state.Change{Begin: true, Facts: p.trusted()}); err != nil {
		return Seeded{}, err
	}
	for chunk := range slices.Chunk(entries, seedAtOnce) {
		if err := p.memory.Commit(state.Change{Put: chunk}); err != nil {
			return found, err
		}
		found.Marked += len(chunk)
	}
	return found, v.session.Quit()
}

// seedAtOnce is how many messages one transaction records.
const seedAtOnce = 10_000

// mostOfHeader is how many octets of a header block are searched for a date.
const mostOfHeader = 64 << 10

// headBuffer keeps the first mostOfHeader octets that are written to it.
type headBuffer struct{ bytes.Buffer }

func (b *headBuffer) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), mostOfHeader-b.Len())])
	return len(p), nil
}

// arrival returns when a message came, by the date of its topmost Received field (RFC
// 5321 section 4.4) or else by its Date field; the zero time if neither can be read.
func arrival(header []byte) time.Time {
	var date time.Time
	for _, field := range unfolded(header) {
		name, value, _ := strings.Cut(field, ":")
		switch strings.ToLower(strings.TrimRight(name, " \t")) {
		case "received":
			value = value[strings.LastIndexByte(value, ';')+1:]
			if came, err := mail.ParseDate(strings.TrimSpace(value)); err == nil {
				return came
			}
		case "date":
			if sent, err := mail.ParseDate(strings.TrimSpace(value)); err == nil && date.IsZero() {
				date = sent
			}
		}
	}
	return date
}

// unfolded returns the fields of a header block, each in one line (RFC 5322 section
// 2.2.3).
func unfolded(header []byte) (fields []string) {
	for line := range bytes.Lines(header) {
		text := string(bytes.TrimRight(line, "\r\n"))
		if text == "" {
			break
		}
		if last := len(fields) - 1; last >= 0 && (text[0] == ' ' || text[0] == '\t') {
			fields[last] += text
			continue
		}
		fields = append(fields, text)
	}
	return fields
}
