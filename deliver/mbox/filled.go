package mbox

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
)

// lookBack is how many octets at the end of an mbox Filled reads.
const lookBack = 4 << 20

// Filled reports whether one of the last messages of the mbox at path begins with the line
// field, as popfetch puts its Received field in front of a message. It is false if there is
// no mbox. It takes no lock: what other programs do meanwhile cannot bring such a line.
func Filled(path, field string) (bool, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, placeError("read", path, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false, placeError("read", path, err)
	}
	from := max(0, info.Size()-lookBack)
	found, err := hasFirstLine(io.NewSectionReader(file, from, lookBack), field)
	return found, placeError("read", path, err)
}

// hasFirstLine reports whether a message in r has the line field behind its From line. r may
// begin in the middle of a line.
func hasFirstLine(r io.Reader, field string) (bool, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	first, middle := false, false // the line follows a From line; it has begun in the part before
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			if err == io.EOF {
				err = nil
			}
			return false, err
		}
		if first && !middle && string(line) == field+"\n" {
			return true, nil
		}
		first = !middle && strings.HasPrefix(string(line), separator) || first && middle
		middle = err == bufio.ErrBufferFull
	}
}
