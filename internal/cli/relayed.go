package cli

import (
	"encoding/json"
	"errors"

	"popfetch/fetch"
	"popfetch/internal/control"
)

// mostReasons is how many reasons an answer has at most.
const mostReasons = 1000

// answerOf puts a report into an answer to another process.
func answerOf(report fetch.Report) control.Answer {
	a := control.Answer{Account: report.Account, Reasons: reasonsOf(report.Err)}
	report.Err = nil
	a.Result, _ = json.Marshal(report) // plain data
	return a
}

// reportOf takes the report out of an answer.
func reportOf(a control.Answer) fetch.Report {
	var report fetch.Report
	if len(a.Result) > 0 {
		_ = json.Unmarshal(a.Result, &report) // what an older popfetch does not know is zero
	}
	report.Account = a.Account
	report.Err = errorOf(a)
	return report
}

// reasonsOf puts an error into the reasons of an answer, those of an *AccountError one by
// one. The class of an account that is busy is OK: nothing is wrong with it.
func reasonsOf(err error) (all []control.Reason) {
	if err == nil {
		return nil
	}
	errs := []error{err}
	if account, ok := errors.AsType[*fetch.AccountError](err); ok {
		errs = account.Errs
	}
	for _, err := range errs[:min(len(errs), mostReasons)] {
		r := reasonOf(err)
		if errors.As(err, new(*fetch.BusyError)) {
			r.Class = fetch.OK.String()
		}
		all = append(all, r)
	}
	return all
}

// errorOf takes the error out of an answer; nil if it has no reasons.
func errorOf(a control.Answer) error {
	if len(a.Reasons) == 0 {
		return nil
	}
	failed := &fetch.AccountError{Account: a.Account}
	for _, r := range a.Reasons {
		failed.Errs = append(failed.Errs, relayed(r))
	}
	return failed
}

func reasonOf(err error) control.Reason {
	return control.Reason{Class: fetch.Classify(err).String(), Text: err.Error(), Hint: hint(err, false)}
}

func relayed(r control.Reason) error {
	return &fetch.RelayedError{Class: fetch.ClassNamed(r.Class), Text: r.Text, Hint: r.Hint}
}
