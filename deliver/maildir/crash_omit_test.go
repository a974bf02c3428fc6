package maildir

import (
	"context"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

// omission is a step that the program omits, to prove that the test notices. The zero value
// omits nothing.
type omission struct {
	fileSync bool   // no file is synced
	dirSync  string // this directory is not synced
	logSync  bool   // an intent from the log is believed although it may not be durable
	early    bool   // messages are published before their intents are recorded
}

// wrap returns d with its steps in the wrong order if o demands that.
func (o omission) wrap(d deliver.Destination) deliver.Destination {
	if o.early {
		return early{d}
	}
	return d
}

// early publishes in Prepare, before the intents are recorded.
type early struct{ deliver.Destination }

func (e early) Prepare(ctx context.Context, group []deliver.Staged) []error {
	if errs := e.Destination.Prepare(ctx, group); errs != nil {
		return errs
	}
	return e.Destination.Publish(ctx, group)
}

func (early) Publish(context.Context, []deliver.Staged) []error { return nil }

// lazyFS is a file system that omits syncs.
type lazyFS struct {
	durable.FS
	omission
}

func (l lazyFS) OpenDir(path string) (durable.Dir, error) {
	d, err := l.FS.OpenDir(path)
	if err != nil {
		return nil, err
	}
	return &lazyDir{d, l.omission, path}, nil
}

type lazyDir struct {
	durable.Dir
	omission
	name string
}

func (l *lazyDir) OpenDir(name string) (durable.Dir, error) {
	d, err := l.Dir.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &lazyDir{d, l.omission, name}, nil
}

func (l *lazyDir) Create(name string) (durable.File, error) {
	f, err := l.Dir.Create(name)
	if err != nil || !l.fileSync {
		return f, err
	}
	return lazyFile{f}, nil
}

func (l *lazyDir) Rename(name string, to durable.Dir, newname string) error {
	return l.Dir.Rename(name, to.(*lazyDir).Dir, newname)
}

func (l *lazyDir) Sync() error {
	if l.name == l.dirSync {
		return nil
	}
	return l.Dir.Sync()
}

type lazyFile struct{ durable.File }

func (lazyFile) Sync() error { return nil }
