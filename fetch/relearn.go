package fetch

import (
	"context"
	"iter"

	"popfetch/fetch/plan"
	"popfetch/state"
)

// Relearned is what Relearn has found out.
type Relearned struct {
	Learned   int           // messages that were recorded as delivered
	Unknown   int           // messages without a stored copy
	Ambiguous []plan.Listed // messages that a copy may or may not belong to; not recorded
}

// Relearn records as delivered what is both in the maildrop and in have. It fetches
// nothing, and leaves records that exist as they are.
func (a *Account) Relearn(ctx context.Context, have []plan.Stored) (found Relearned, err error) {
	p := a.begin(ctx, nil)
	p.alwaysSizes = true
	p.guard(func() {
		found, err = p.relearn(have)
		p.fail(err)
	})
	p.guard(p.end)
	return found, p.outcome()
}

func (p *poll) relearn(have []plan.Stored) (found Relearned, err error) {
	if err := p.enter(); err != nil {
		return found, err
	}
	v := p.visit
	var library plan.Library
	for _, stored := range have {
		library.Add(stored)
	}
	// A recorded message has its copy already; a twin needs another one.
	err = p.memory.Scan(func(known iter.Seq2[[]byte, state.Record]) {
		for _, r := range known {
			if r.Seen() {
				library.Spend(r)
			}
		}
	})
	if err != nil {
		return found, err
	}
	fresh := v.listing.Items(func(i int) bool { return v.plan.Verdicts[i] != plan.Seen && v.plan.Verdicts[i] != plan.Due })
	if err := v.showHeaders(fresh.Nums()); err != nil {
		return found, v.because(err)
	}
	hidden := 0
	for it := range fresh.All() {
		if shown := v.shown[it.Num]; shown != nil {
			library.Show(it.Listed, *shown)
		} else {
			hidden++
		}
	}
	match := library.Match()
	for i := range match.Entries {
		match.Entries[i].Record.Observed = v.when.Observed
	}
	if err := p.memory.Commit(state.Change{Begin: true, Facts: p.trusted(), Put: match.Entries}); err != nil {
		return found, err
	}
	return Relearned{len(match.Entries), match.Unknown + hidden, match.Ambiguous}, v.session.Quit()
}
