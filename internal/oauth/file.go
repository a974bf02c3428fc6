package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"popfetch/internal/config"
	"popfetch/internal/durable"
)

// maxFile bounds a token file, in octets.
const maxFile = 256 << 10

// tokens is the content of a token file. ClientID and TokenURL say where the refresh token
// belongs: it is sent nowhere else.
type tokens struct {
	User         string    `json:"user"`
	ClientID     string    `json:"client_id"`
	TokenURL     string    `json:"token_url"`
	AccessToken  string    `json:"access_token"`
	RefreshToken string    `json:"refresh_token"`
	Expiry       time.Time `json:"expiry"`   // of AccessToken
	Obtained     time.Time `json:"obtained"` // when AccessToken came
}

// String hides the tokens.
func (t *tokens) String() string { return "tokens of " + t.User }

// read returns the tokens. The lock is held. Those that could not be written before are
// written now, unless somebody has signed in anew since: the file has the tokens from
// before, which the provider may not know any more.
func (g *Grant) read() (*tokens, error) {
	t, err := g.readFile()
	if g.unsaved == nil {
		return t, err
	}
	if err == nil && t.Obtained.After(g.unsaved.Obtained) {
		g.unsaved = nil
		return t, nil
	}
	t = g.unsaved
	if w, err := g.create(); err == nil {
		if w.commit(t) == nil {
			g.unsaved = nil
		}
		w.discard()
	}
	return t, nil
}

func (g *Grant) readFile() (*tokens, error) {
	data, fi, err := config.ReadFile(g.file, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, g.unsigned("the account has not signed in yet", err)
	case err != nil:
		return nil, g.unsigned(err.Error(), err)
	}
	if err := config.CheckPrivate(g.file, fi); err != nil {
		return nil, g.unsigned("the file "+g.file+" "+err.Error(), err)
	}
	t := new(tokens)
	if err := json.Unmarshal(data, t); err != nil || t.AccessToken == "" && t.RefreshToken == "" {
		return nil, g.unsigned("the file "+g.file+" is damaged", nil) // the error could quote it
	}
	if t.ClientID != g.config.ClientID || t.TokenURL != g.config.Endpoint.TokenURL || t.User != g.user {
		return nil, g.unsigned("the sign-in was for another user, client_id or provider than the configuration has now", nil)
	}
	return t, nil
}

// lockPause is the pause between two attempts to get the lock.
const lockPause = 20 * time.Millisecond

// lock waits until no other process uses the tokens of the account. The file of the lock
// stays: to remove it would give two processes one each.
func (g *Grant) lock(ctx context.Context) (unlock func(), err error) {
	dir := filepath.Dir(g.file)
	if err := (durable.OS{}).MakeDirs(dir); err != nil {
		return nil, g.unsigned(err.Error(), err)
	}
	path := g.file + ".lock"
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, g.unsigned(err.Error(), err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			f.Close()
			return nil, g.unsigned("lock "+path+": "+err.Error(), err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("%s: wait for another popfetch that renews the token: %w", g, context.Cause(ctx))
		case <-time.After(lockPause):
		}
	}
}

// writing is a token file that is being replaced.
type writing struct {
	f    *os.File
	path string // "" once it has its final name
	file string
}

// create begins the replacement of the token file. The lock is held, so that a file of
// this name is from a process that has died.
func (g *Grant) create() (*writing, error) {
	path := g.file + ".new"
	err := os.Remove(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		var f *os.File
		if f, err = durable.Create(path); err == nil {
			return &writing{f: f, path: path, file: g.file}, nil
		}
	}
	return nil, g.temporary("the file with the tokens cannot be written: "+err.Error(), err)
}

// commit writes the tokens and puts the file in place of the old one. When it returns
// nil, the tokens survive a power cut.
func (w *writing) commit(t *tokens) error {
	data, err := json.MarshalIndent(t, "", "\t")
	if err != nil {
		return err
	}
	if _, err := w.f.Write(append(data, '\n')); err != nil {
		return err
	}
	if err := w.f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(w.path, w.file); err != nil {
		return err
	}
	w.path = ""
	return durable.SyncDir(filepath.Dir(w.file))
}

// discard frees the file, and removes it unless commit has put it in place.
func (w *writing) discard() {
	w.f.Close()
	if w.path != "" {
		os.Remove(w.path)
	}
}
