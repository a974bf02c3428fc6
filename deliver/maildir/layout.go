package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"popfetch/internal/durable"
)

// missingParts returns which of cur, new and tmp the directory root lacks. If root has other
// entries too it is not a Maildir, and nothing must be made there: that is an error.
func missingParts(root durable.Dir, path string) (missing []string, err error) {
	parts := []string{"cur", "new", "tmp"}
	for _, part := range parts {
		info, err := root.Stat(part)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, part)
		case err != nil:
			return nil, placeError("inspect", filepath.Join(path, part), err)
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
	// The root directory of a new file system has a lost+found.
	names = slices.DeleteFunc(names, func(name string) bool {
		return name == "lost+found" || slices.Contains(parts, name)
	})
	if len(names) == 0 {
		return missing, nil
	}
	return nil, refused(path,
		fmt.Sprintf("not a Maildir: it has %s but no %s", summary(names), strings.Join(missing, ", no ")),
		"name an empty or new directory; if this is a Maildir, make the missing directories with mkdir -m 700")
}

// summary returns the first names and how many more there are.
func summary(names []string) string {
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
