package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/control"
	"popfetch/state"
)

// lockWait is how long to wait for another popfetch that holds the state file and does
// nothing for others: it is about to serve its socket, or it is a command that works alone.
const lockWait = 4 * time.Second

// lockRetry is the time between two attempts.
const lockRetry = 20 * time.Millisecond

// own opens the state file for changes or, if another popfetch holds it, connects to that
// one; exactly one of store and owner is not nil then. It waits a while for an owner that
// works alone.
func own(ctx context.Context, file state.File) (store *state.Bolt, owner *control.Client, err error) {
	return openOrAsk(ctx, file, state.File.Open, worksForOthers)
}

// openOrAsk opens the state file with open or, if another popfetch holds it, connects to
// that one. It waits a while for one that is not suitable, and then returns it.
func openOrAsk(ctx context.Context, file state.File, open func(state.File) (*state.Bolt, error), suitable func(control.Info) bool) (store *state.Bolt, owner *control.Client, err error) {
	file.Wait = 0
	deadline := time.Now().Add(lockWait)
	for {
		store, err := open(file)
		if !errors.Is(err, state.ErrLocked) {
			return store, nil, stateError(err)
		}
		owner, asked := control.Dial(ctx, file.Path)
		switch {
		case asked == nil && !suitable(owner.Owner) && ctx.Err() == nil && time.Now().Before(deadline):
			owner.Close()
			pause(ctx)
		case asked == nil:
			return nil, owner, nil
		case ctx.Err() != nil:
			return nil, nil, context.Cause(ctx)
		case errors.Is(asked, control.ErrNobody) && time.Now().Before(deadline):
			pause(ctx)
		case errors.Is(asked, control.ErrNobody):
			return nil, nil, stateError(err)
		default: // it hangs, or is of another version
			return nil, nil, stateError(&ownedError{err: fmt.Errorf("%w: %w", err, asked), hint: hintUnserved(asked)})
		}
	}
}

// pause waits before another attempt, or until ctx ends.
func pause(ctx context.Context) {
	select {
	case <-time.After(lockRetry):
	case <-ctx.Done():
	}
}

// stateError returns err as an error of the state file; nil stays nil.
func stateError(err error) error {
	if err == nil {
		return nil
	}
	return &fetch.StateError{Err: err}
}

// ownAlone is own for a command that cannot work through the owner.
func ownAlone(ctx context.Context, file state.File, command string) (*state.Bolt, error) {
	store, owner, err := own(ctx, file)
	if owner != nil {
		defer owner.Close()
		return nil, ownedBy(file, owner.Owner, stopFirst(owner.Owner, command))
	}
	return store, err
}

// refuseBeside returns an error if another popfetch serves the socket of the state file, if
// it works alone after a while.
func refuseBeside(ctx context.Context, file state.File, command string) error {
	owner, err := control.Dial(ctx, file.Path)
	for deadline := time.Now().Add(lockWait); err == nil && !worksForOthers(owner.Owner) && time.Now().Before(deadline) && ctx.Err() == nil; {
		owner.Close()
		pause(ctx)
		owner, err = control.Dial(ctx, file.Path)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, control.ErrNobody):
		return nil // the command finds out whether the file is locked
	case err != nil:
		return ownerError(file, err)
	}
	defer owner.Close()
	return ownedBy(file, owner.Owner, stopFirst(owner.Owner, command))
}

// ownedBy is the error of a command that finds another owner.
func ownedBy(file state.File, owner control.Info, hint string) error {
	return stateError(&ownedError{err: fmt.Errorf("state file %s: %w (process %d)", file.Path, state.ErrLocked, owner.PID), hint: hint})
}

// ownedError is a state file that another popfetch owns.
type ownedError struct {
	err  error
	hint string // what the user can do
}

func (e *ownedError) Error() string { return e.err.Error() }

func (e *ownedError) Unwrap() error { return e.err }

// stopFirst says what to stop before a command that has to be alone.
func stopFirst(owner control.Info, command string) string {
	if owner.Command != commandDaemon {
		return fmt.Sprintf("%s; run popfetch %s when it has ended", whoOwns(owner), command)
	}
	return fmt.Sprintf("%s; stop it (systemctl --user stop popfetch, or kill %d), run popfetch %s, and start it again", whoOwns(owner), owner.PID, command)
}

// whoOwns says what the owner is and since when it has been running.
func whoOwns(owner control.Info) string {
	what, layout := "the daemon", time.DateTime
	switch owner.Command {
	case commandDaemon:
	case commandOnce:
		what, layout = "a popfetch --once", time.TimeOnly
	default:
		what, layout = "popfetch "+owner.Command, time.TimeOnly
	}
	return fmt.Sprintf("process %d is %s, running since %s", owner.PID, what, owner.Since.Local().Format(layout))
}

// view opens the state file as it is now, for reading, whoever holds it.
func view(ctx context.Context, cfg *config.Config) (*state.Bolt, error) {
	file := stateFile(cfg)
	store, owner, err := openOrAsk(ctx, file, state.File.OpenView, func(control.Info) bool { return true })
	if owner == nil {
		return store, err
	}
	defer owner.Close()
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	var opened error
	err = owner.Do(ctx, control.Request{Do: doCopy}, func(a control.Answer) {
		var name string
		if opened = json.Unmarshal(a.Result, &name); opened == nil {
			store, opened = file.OpenCopy(name)
		}
		enough()
	})
	if store != nil || opened != nil {
		return store, stateError(opened)
	}
	return nil, ownerError(file, err)
}

// ownerError is the error of a request as a whole.
func ownerError(file state.File, err error) error {
	var refused *control.Refusal
	switch {
	case errors.As(err, &refused):
		return relayed(refused.Reason)
	case hintUnserved(err) != "":
		return stateError(&ownedError{err: fmt.Errorf("state file %s: %w: %w", file.Path, state.ErrLocked, err), hint: hintUnserved(err)})
	}
	return err
}

// hintUnserved says what the user can do about an owner that does not do what it was asked
// for, "" if err is something else.
func hintUnserved(err error) string {
	switch {
	case errors.As(err, new(*control.VersionError)):
		return "restart the running popfetch, so that both are of one version"
	case errors.Is(err, control.ErrSilent):
		return "the running popfetch hangs or is suspended; if it does not go on, end it and try again"
	case errors.Is(err, control.ErrNobody):
		return "the popfetch that ran has just ended; try again"
	}
	return ""
}
