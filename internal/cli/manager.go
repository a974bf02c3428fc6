package cli

import (
	"fmt"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"popfetch/fetch"
)

// manager is the service manager that has started the daemon, if one wants to know how
// it is (sd_notify(3)). The zero value is none.
type manager struct {
	wanted   bool
	watchdog time.Duration // the daemon is killed if it does not beat for so long; 0 = never
	fed      time.Time     // when it last did
	told     time.Time     // when the status was last told
	shown    string        // that status
}

// statusEvery is how often the status is told at most: it takes a look at each account.
const statusEvery = 10 * time.Second

// newManager finds the service manager in the environment.
func newManager(socket string) manager {
	m := manager{wanted: socket != ""}
	if wd, err := sd.SdWatchdogEnabled(false); m.wanted && err == nil {
		m.watchdog = wd
	}
	return m
}

// send tells the service manager something. An error is left out: mail does not depend
// on it, and there is nobody else to tell.
func (m *manager) send(state string) {
	if m.wanted {
		_, _ = sd.SdNotify(false, state)
	}
}

func (m *manager) ready()     { m.send(sd.SdNotifyReady) }
func (m *manager) reloading() { m.send(sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec()) }
func (m *manager) stopping() {
	m.send(sd.SdNotifyStopping + "\nSTATUS=finishing the messages in hand")
}

// beatEvery is how often beat has to be called, 0 = any.
func (m *manager) beatEvery() time.Duration {
	if m.watchdog == 0 {
		return 0
	}
	return min(m.watchdog/3, 30*time.Second)
}

// beat feeds the watchdog. It is called by the goroutine that schedules, so a schedule
// that hangs is noticed.
func (m *manager) beat(status func() []fetch.AccountStatus) {
	now := time.Now()
	if m.watchdog > 0 && now.Sub(m.fed) >= m.watchdog/4 {
		m.send(sd.SdNotifyWatchdog)
		m.fed = now
	}
	if !m.wanted || now.Sub(m.told) < statusEvery {
		return
	}
	m.told = now
	if text := inOneLine(status()); text != m.shown {
		m.send("STATUS=" + text)
		m.shown = text
	}
}

// inOneLine says how the accounts are.
func inOneLine(all []fetch.AccountStatus) string {
	failing, polling := 0, 0
	var next time.Time
	for _, a := range all {
		if a.Failures > 0 {
			failing++
		}
		switch {
		case !a.Begun.IsZero():
			polling++
		case !a.Next.IsZero() && (next.IsZero() || a.Next.Before(next)):
			next = a.Next
		}
	}
	text := accountsInWords(len(all))
	if failing > 0 {
		text += fmt.Sprintf(", %d failing", failing)
	}
	if polling > 0 {
		text += fmt.Sprintf(", %d being polled", polling)
	}
	if !next.IsZero() {
		text += ", next poll at " + next.Format(time.TimeOnly)
	}
	return text
}
