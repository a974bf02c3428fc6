package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

// survey returns which parts of the tree the directory root lacks. It is an error
// where they may not be made: the directory is somebody else's.
func survey(root durable.Dir, path string) (missing []string, err error) {
	parts := []string{"cur", "new", "tmp"}
	for _, part := range parts {
		info, err := root.Stat(part)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, part)
		case err != nil:
			return nil, placeError("look at", filepath.Join(path, part), err)
		case !info.Dir:
			return nil, refused(filepath.Join(path, part), "is not a directory",
				"a Maildir has the three directories cur, new and tmp, and no symbolic links in their place")
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	names, err := root.Names()
	if err != nil {
		return nil, placeError("read", path, err)
	}
	// The root of a file system of its own has a lost+found from the start.
	names = slices.DeleteFunc(names, func(name string) bool {
		return name == "lost+found" || slices.Contains(parts, name)
	})
	if len(names) == 0 {
		return missing, nil
	}
	return nil, refused(path,
		fmt.Sprintf("not a Maildir: it has %s but no %s", some(names), strings.Join(missing, ", no ")),
		"name an empty or new directory; if this is a Maildir, make the missing directories with mkdir -m 700")
}

// some returns the first of names in words.
func some(names []string) string {
	const most = 3
	slices.Sort(names)
	shown := make([]string, 0, most)
	for _, name := range names[:min(most, len(names))] {
		shown = append(shown, fmt.Sprintf("%.64q", name))
	}
	text := strings.Join(shown, ", ")
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// refused is the error for a place that the user has to put right.
func refused(path, why, hint string) error {
	return &deliver.Error{Op: "use Maildir", Path: path, Scope: deliver.Place, Hint: hint, Err: errors.New(why)}
}

// placeError is the error for an operation that the operating system denied.
func placeError(op, path string, err error) error {
	cause := durable.Explain(err)
	return &deliver.Error{
		Op: op, Path: path, Scope: deliver.Place,
		Temporary: cause.Temporary, Hint: cause.Hint, Err: bare(err),
	}
}

// bare returns err without the operation and the path that the text of a deliver.Error
// gives already.
func bare(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	var linkErr *os.LinkError
	if errors.As(err, &linkErr) {
		return linkErr.Err
	}
	return err
}
