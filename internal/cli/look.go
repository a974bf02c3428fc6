package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"sync"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/state"
)

// look opens the state file for reading and calls fn for each chosen account,
// see each.
func (p *program) look(c *cli.Context, h *house, fn func(a *fetch.Account, w io.Writer) error) error {
	store, err := state.File{Path: h.config.State, Wait: lockWait}.OpenReadOnly()
	if err != nil {
		return &fetch.StateError{Err: err}
	}
	defer store.Close()
	if err := h.use(store); err != nil {
		return err
	}
	return p.each(h, func(a *config.Account, w io.Writer) error {
		if err := h.lost(a); err != nil {
			return &fetch.AccountError{Account: a.Name, Errs: []error{err}}
		}
		return fn(h.account(a, nil), w)
	})
}

// each calls fn for the chosen accounts, several at a time, and writes what they
// have written in the order of the configuration. Errors are said where they
// belong in that order.
func (p *program) each(h *house, fn func(a *config.Account, w io.Writer) error) error {
	type result struct {
		text bytes.Buffer
		err  error
		done sync.WaitGroup
	}
	results := make([]result, len(h.chosen))
	var g errgroup.Group
	g.SetLimit(h.polls)
	for i := range results {
		results[i].done.Add(1)
	}
	go func() {
		for i, a := range h.chosen {
			g.Go(func() error {
				defer results[i].done.Done()
				results[i].err = fn(a, &results[i].text)
				return nil
			})
		}
	}()
	var errs []error
	for i := range results {
		r := &results[i]
		r.done.Wait()
		p.out.Write(r.text.Bytes())
		if r.err != nil {
			p.complain(r.err)
			errs = append(errs, r.err)
		}
	}
	return said(errors.Join(errs...))
}

// encode writes v as one line of JSON.
func encode(w io.Writer, v any) error { return json.NewEncoder(plainJSON{w}).Encode(v) }

// shown is a text of a server or a message as a terminal may see it: everything
// that is not printable is escaped.
func shown(s string) string {
	quoted := strconv.QuoteToGraphic(s)
	if quoted[1:len(quoted)-1] == s {
		return s
	}
	return quoted
}
