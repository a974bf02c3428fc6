package cli

import (
	"errors"
	"os"
	"path/filepath"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/durable"
)

// configDraft is a configuration that is written beside the file that it will be.
type configDraft struct {
	target string
	file   *os.File
}

// newConfigDraft writes and syncs a draft, mode 0600, in a directory that it makes if it
// is missing.
func newConfigDraft(target, text string) (*configDraft, error) {
	d := &configDraft{target: target}
	dir := filepath.Dir(target)
	if err := (durable.OS{}).MakeDirs(dir); err != nil {
		return nil, d.failed(err)
	}
	var err error
	if d.file, err = os.CreateTemp(dir, ".popfetch-*.toml"); err != nil {
		return nil, d.failed(err)
	}
	_, err = d.file.WriteString(text)
	if err := errors.Join(err, d.file.Sync(), d.file.Close()); err != nil {
		d.discard()
		return nil, d.failed(err)
	}
	return d, nil
}

func (d *configDraft) failed(err error) error {
	return &fetch.ConfigError{Err: &config.Error{File: d.target, Msg: config.WithoutPath(err).Error(), Err: err}}
}

// load reads the draft as a configuration.
func (d *configDraft) load() (*config.Config, error) {
	cfg, err := config.Load(d.file.Name(), configOptions())
	if err != nil {
		return nil, &fetch.ConfigError{Err: err}
	}
	return cfg, nil
}

// publish gives the draft its name. A file that has the name by now is an error.
func (d *configDraft) publish() error {
	err := os.Link(d.file.Name(), d.target)
	if err == nil {
		err = durable.SyncDir(filepath.Dir(d.target))
	}
	if err != nil {
		return d.failed(err)
	}
	return nil
}

// replace puts the draft in place of the target, whose mode it gets.
func (d *configDraft) replace() error {
	fi, err := os.Stat(d.target)
	if err == nil {
		err = os.Chmod(d.file.Name(), fi.Mode().Perm())
	}
	if err == nil {
		err = os.Rename(d.file.Name(), d.target)
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(d.target))
	}
	if err != nil {
		return d.failed(err)
	}
	return nil
}

// discard removes the draft unless it has been put in place.
func (d *configDraft) discard() { os.Remove(d.file.Name()) }
