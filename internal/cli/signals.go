package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// stopped is the cause with which the context of a run ends after a signal.
type stopped struct{ signal syscall.Signal }

func (e *stopped) Error() string { return fmt.Sprintf("stopped by signal: %v", e.signal) }

// Unwrap makes it a cancellation like any other.
func (e *stopped) Unwrap() error { return context.Canceled }

// signals are the signals of one run, besides those that end it.
type signals struct {
	hangup  chan os.Signal // SIGHUP
	hangups chan os.Signal // SIGHUP while reload is set
	wakeups chan os.Signal // SIGUSR1
	reload  atomic.Bool    // SIGHUP reloads the configuration and ends nothing
}

// untilStopped returns a context that ends at the first SIGINT, SIGTERM or SIGHUP. A SIGHUP
// that was ignored before, as under nohup, stays ignored, and one that reloads ends
// nothing. The second signal ends the process as if it were not caught. A closed standard
// output is a write error and not a SIGPIPE, so that the mail is taken care of first;
// SIGUSR1 has no effect but on a daemon. The caller calls stop, which frees all of them.
func (s *signals) untilStopped() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	end, hangup, pipe := make(chan os.Signal, 1), make(chan os.Signal, 1), make(chan os.Signal, 1)
	s.hangup = hangup
	s.hangups, s.wakeups = make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	signal.Notify(s.wakeups, syscall.SIGUSR1)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(hangup, syscall.SIGHUP)
	}
	signal.Notify(pipe, syscall.SIGPIPE)
	stopBy := func(received os.Signal) {
		signal.Stop(end)
		signal.Stop(hangup)
		cancel(&stopped{received.(syscall.Signal)})
	}
	go func() {
		for {
			select {
			case received := <-end:
				stopBy(received)
				return
			case received := <-hangup:
				if !s.reload.Load() {
					stopBy(received)
					return
				}
				select {
				case s.hangups <- received:
				default: // a reload is due
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() {
		for _, c := range []chan os.Signal{end, hangup, pipe, s.wakeups} {
			signal.Stop(c)
		}
		cancel(errors.New("the run is over"))
	}
}

// reloadOnHangup makes SIGHUP reload the configuration, also if it was ignored before: what
// nohup(1) is for, that it does not end the process, holds then too.
func (s *signals) reloadOnHangup() {
	s.reload.Store(true)
	signal.Notify(s.hangup, syscall.SIGHUP)
}
