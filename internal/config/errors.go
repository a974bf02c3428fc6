package config

import (
	"strconv"
	"strings"
)

// Error is one thing that is wrong with a configuration.
type Error struct {
	File    string // as given to Load
	Line    int    // counted from 1; 0 where the file as a whole is meant
	Account string // "" outside of an account
	Key     string // "" where no key is to blame; "defaults.keep" inside of [defaults]
	Msg     string // what is wrong; holds no secret
	Hint    string // what to do about it, or ""
	Err     error  // the cause where there is one: a refused open, for example
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

// Unwrap returns the cause, nil where there is none.
func (e *Error) Unwrap() error { return e.Err }

// Errors is all that is wrong with one file, in the order of its lines. It is
// never empty where it is returned as an error.
type Errors []*Error

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
