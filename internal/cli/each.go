package cli

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"popfetch/internal/config"
)

// each calls fn for the chosen accounts, several at a time, and writes what
// they have written in the order of the configuration. It writes the error of
// an account after its output.
func (s *selection) each(con *console, fn func(a *config.Account, w io.Writer) error) error {
	type result struct {
		text bytes.Buffer
		err  error
		done sync.WaitGroup
	}
	results := make([]result, len(s.chosen))
	var g errgroup.Group
	g.SetLimit(s.polls)
	for i := range results {
		results[i].done.Add(1)
	}
	go func() {
		for i, a := range s.chosen {
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
		con.out.Write(r.text.Bytes())
		if r.err != nil {
			con.complain(r.err)
			errs = append(errs, r.err)
		}
	}
	return reported(errors.Join(errs...))
}
