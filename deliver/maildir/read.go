package maildir

import (
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Message is one message that is stored in a Maildir.
type Message struct {
	Time time.Time // when it was stored
	root *os.Root
	name string
}

// Open opens the message for reading.
func (m Message) Open() (io.ReadCloser, error) { return m.root.Open(m.name) }

// Messages yields the messages, new and read, of the Maildir at path and of the folders
// below it, in no order. It may miss a message that a reader moves meanwhile. An error
// ends the iteration. A Message is valid until the iteration ends.
func Messages(path string) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		root, err := os.OpenRoot(path)
		if err != nil {
			yield(Message{}, err)
			return
		}
		defer root.Close()
		err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if !d.Type().IsRegular() || !inMaildir(name) {
				return nil
			}
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if !yield(Message{Time: info.ModTime(), root: root, name: name}, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(Message{}, err)
		}
	}
}

// inMaildir reports whether the file name is a message of a Maildir.
func inMaildir(name string) bool {
	dir := filepath.Base(filepath.Dir(name))
	return (dir == "new" || dir == "cur") && !strings.HasPrefix(filepath.Base(name), ".")
}
