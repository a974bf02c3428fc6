package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"popfetch/internal/config"
	"popfetch/internal/metrics"
	"popfetch/internal/status"
)

const (
	// exportEvery is the time between two writes of metrics_file, and between two attempts
	// to listen at an address that is taken.
	exportEvery = 15 * time.Second
	// mostScrapes is how many connections for metrics are open at a time.
	mostScrapes = 4
)

// exporter shows Prometheus how the accounts are, where the configuration says. One
// goroutine uses it. Mail does not depend on it: what goes wrong is told once.
type exporter struct {
	con     *console
	owner   *owner
	metrics *metrics.Metrics

	at      config.Endpoint // of metrics_listen
	server  *http.Server    // that serves there; nil = none
	path    string          // of metrics_file
	changes int             // of the last polls when the file was written
	written bool
	told    map[string]string // the failure of a key that was told of last
}

// newExporter returns the exporter of the owner of the state file.
func (p *program) newExporter(con *console, o *owner) *exporter {
	return &exporter{con: con, owner: o, metrics: metrics.New(p.version, o.now), told: make(map[string]string)}
}

// now is how the accounts are that are enabled, or polled all the same. What it returns is
// on disk first: a counter must not fall back when popfetch is killed.
func (o *owner) now() metrics.Now {
	h := o.house.Load()
	o.logUnsaved(h, o.book.Write())
	var now metrics.Now
	chosen := h.isChosen()
	for _, a := range h.config.Accounts {
		if !a.Enabled && !chosen[a] {
			continue
		}
		p, ok := o.book.Last(a.Name, maildropKey(a))
		if !ok {
			p = status.Poll{Account: a.Name}
		}
		now.Accounts = append(now.Accounts, p)
	}
	for _, st := range o.scheduler.Status() {
		switch {
		case !st.Begun.IsZero():
			now.Polling++
		case st.Waiting:
			now.Queued++
		}
	}
	return now
}

// configure does what the configuration says now.
func (e *exporter) configure(cfg *config.Config) {
	if at := cfg.MetricsListen; at != e.at {
		e.stop()
		e.at = at
		delete(e.told, "metrics_listen")
	}
	if e.path != cfg.MetricsFile {
		e.path, e.written = cfg.MetricsFile, false
	}
	e.update()
}

// update writes the file if a poll has ended since, and tries again to listen.
func (e *exporter) update() {
	if e.at.IsSet() && e.server == nil {
		e.tell("metrics_listen", e.serve())
	}
	if changes := e.owner.book.Changes(); e.path != "" && (!e.written || changes != e.changes) {
		err := e.metrics.WriteFile(e.path)
		if errno, ok := errors.AsType[syscall.Errno](err); ok { // err names a temporary file, each time another one
			err = fmt.Errorf("%s: %w", e.path, errno)
		}
		e.tell("metrics_file", err)
		e.changes, e.written = changes, err == nil
	}
}

// close serves no longer, and writes the file.
func (e *exporter) close() {
	e.stop()
	e.update()
}

// write writes the file that the configuration names.
func (e *exporter) write(cfg *config.Config) {
	e.path = cfg.MetricsFile
	e.update()
}

// serve begins to serve at metrics_listen.
func (e *exporter) serve() error {
	l, err := listen(e.at)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", e.metrics.Handler())
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(e.con.log.Handler(), slog.LevelDebug),
	}
	e.server = server
	go func() {
		if err := server.Serve(netutil.LimitListener(l, mostScrapes)); !errors.Is(err, http.ErrServerClosed) {
			e.con.log.Warn("metrics are no longer served", "reason", err)
		}
	}()
	return nil
}

func (e *exporter) stop() {
	if e.server != nil {
		_ = e.server.Close() // the socket goes with it
		e.server = nil
	}
	e.at = config.Endpoint{}
}

// tell tells of a failure if it is not the one that was told of last, and that it is over.
func (e *exporter) tell(key string, err error) {
	if err == nil {
		if e.told[key] != "" && !e.con.quiet {
			e.con.tell(levelNotice, "", key+" works again")
		}
		delete(e.told, key)
		return
	}
	text := err.Error()
	if e.told[key] != text {
		e.con.tell(slog.LevelError, "", key+": "+printable(text)+"; popfetch goes on without, and tries again")
	}
	e.told[key] = text
}

// listen listens at an address of this machine. A socket that nobody serves is replaced;
// anything else that is there stays. Others of the group may connect to a socket.
func listen(at config.Endpoint) (net.Listener, error) {
	if at.Network == "unix" {
		if err := removeStale(at.Address); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen(at.Network, at.Address)
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return nil, fmt.Errorf("%s: %w", at, errno)
	}
	if err == nil && at.Network == "unix" {
		err = os.Chmod(at.Address, 0o660)
	}
	return l, err
}

// removeStale removes a socket that nobody serves.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is not a socket; move it away", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		c.Close()
		return fmt.Errorf("unix:%s: %w", path, syscall.EADDRINUSE)
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	}
	return err
}
