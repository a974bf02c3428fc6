package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Error is one problem of a configuration.
type Error struct {
	File    string // as given to Load
	Line    int    // counted from 1; 0 = the file as a whole
	Account string // "" outside an account
	Key     string // "" = no single key; "defaults.keep" in [defaults]
	Msg     string // what is wrong; contains no secret
	Hint    string // what to do about it, or ""
	Err     error  // the cause, or nil: a failed open, for example
}

// Error is one line: file:12: account "work": key "servr": what (hint).
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		b.WriteString(":" + strconv.Itoa(e.Line))
	}
	b.WriteString(": ")
	if e.Account != "" {
		b.WriteString("account " + strconv.Quote(e.Account) + ": ")
	}
	if e.Key != "" {
		b.WriteString("key " + strconv.Quote(e.Key) + ": ")
	}
	b.WriteString(e.Msg)
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.Err }

// Errors are all problems of one file, in the order of its lines. As an error it is
// never empty.
type Errors []*Error

// sort orders the errors by line.
func (es Errors) sort() {
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Key, b.Key), strings.Compare(a.Msg, b.Msg))
	})
}

// Error is one line for each problem.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the first *Error, and errors.Is every cause.
func (es Errors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}
