package secret

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unicode"

	"popfetch/internal/config"
)

// maxSecret bounds a file or the output of a program that holds a password, in
// octets.
const maxSecret = 64 << 10

// fromFile reads a password_file.
func fromFile(source, path string) (string, error) {
	data, fi, err := config.ReadFile(path, maxSecret)
	if err != nil {
		return "", &Error{Source: source, Msg: config.WithoutPath(err).Error(), Err: err}
	}
	if err := config.CheckPrivate(path, fi); err != nil {
		return "", unsafeFile(source, path, err)
	}
	return firstLine(source, data)
}

// fromCredential reads a credential of systemd.exec(5), or a secret that docker
// or Kubernetes has mounted. Whoever set $CREDENTIALS_DIRECTORY vouches for the
// directory: systemd gives the files to the user by an access list, container
// platforms make them mode 0444, and neither shows in mode bits who can read them.
func fromCredential(source, name string) (string, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return "", &Error{Source: source, Msg: "$CREDENTIALS_DIRECTORY is not set",
			Hint: "systemd sets it for a unit with LoadCredential=" + name + ":/path"}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", &Error{Source: source, Msg: err.Error(), Err: err}
	}
	defer root.Close()
	fi, err := root.Stat(name)
	if err != nil {
		return "", &Error{Source: source, Msg: dir + ": " + config.WithoutPath(err).Error(), Err: err}
	}
	if !fi.Mode().IsRegular() {
		return "", &Error{Source: source, Msg: "not a regular file in " + dir, Err: fs.ErrInvalid}
	}
	f, err := root.Open(name)
	if err != nil {
		return "", &Error{Source: source, Msg: dir + ": " + config.WithoutPath(err).Error(), Err: err}
	}
	defer f.Close()
	data, _, err := config.ReadOpenFile(f, maxSecret)
	if err != nil {
		return "", &Error{Source: source, Msg: config.WithoutPath(err).Error(), Err: err}
	}
	return firstLine(source, data)
}

// The marks that editors and PowerShell put at the beginning of a text.
const (
	utf8Mark    = "\xef\xbb\xbf"
	utf16LEMark = "\xff\xfe"
	utf16BEMark = "\xfe\xff"
)

// firstLine returns the password in a file or in the output of a program: the
// first line, without its line end and without a byte order mark before it.
func firstLine(source string, data []byte) (string, error) {
	if isUTF16(data) {
		return "", &Error{Source: source, Msg: "the text is UTF-16, not UTF-8", Hint: "save it as UTF-8"}
	}
	line, _, _ := bytes.Cut(bytes.TrimPrefix(data, []byte(utf8Mark)), []byte("\n"))
	s := strings.TrimSuffix(string(line), "\r")
	if s == "" {
		return "", &Error{Source: source, Msg: "the first line is empty"}
	}
	if err := check(s); err != nil {
		return "", &Error{Source: source, Msg: err.Error(), Err: err}
	}
	return s, nil
}

// isUTF16 reports whether data is a text in UTF-16: it begins with a byte order
// mark, or with an ASCII character that fills two octets.
func isUTF16(data []byte) bool {
	return bytes.HasPrefix(data, []byte(utf16LEMark)) || bytes.HasPrefix(data, []byte(utf16BEMark)) ||
		len(data) > 2 && (data[0] == 0) != (data[1] == 0)
}

// check refuses control characters, tabs aside. A line end would be a command to
// the server, and the others are colours of a program or slips of a keyboard.
// Octets that are not UTF-8 pass: a server may want Latin-1.
func check(password string) error {
	if strings.ContainsAny(password, "\r\n\x00") {
		return fmt.Errorf("it holds a line end or a NUL")
	}
	for _, r := range password {
		if r != '\t' && unicode.IsControl(r) {
			return fmt.Errorf("it holds the control character %U", r)
		}
	}
	return nil
}
