package peer

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"popfetch/internal/config"
)

// getmailSeen reads the unique-ids of an account.
func (m *move) getmailSeen(account, file string) {
	what := "unique-ids of account " + account
	data, err := m.Read(file)
	if err != nil {
		why := config.WithoutPath(err).Error()
		if errors.Is(err, fs.ErrNotExist) {
			why = "there is no such file"
		}
		m.remark(file, 0, what, why+"; "+seedHint(account))
		return
	}
	var ids []ID
	n, damaged, unclear := 0, 0, 0
	for line := range strings.Lines(string(data)) {
		n++
		uid, stamp, ok := strings.Cut(strings.TrimSpace(line), "\x00")
		seconds, err := strconv.ParseInt(stamp, 10, 64)
		if !ok || err != nil || uid == "" {
			if damaged == 0 {
				damaged = n
			}
			continue
		}
		ids = append(ids, ID{UID: uid, Time: unixTime(seconds)})
		others, all := slashed(uid)
		for _, other := range others {
			ids = append(ids, ID{UID: other, Time: unixTime(seconds), Guess: true})
		}
		if !all && unclear == 0 {
			unclear = n
		}
	}
	if damaged > 0 {
		m.remark(file, damaged, what, "the file is damaged; "+seedHint(account))
	}
	if unclear > 0 {
		m.remark(file, unclear, what, "getmail writes / as -, so it is not known what the server has in its place; if that is /, "+seedHint(account))
	}
	if len(ids) > 0 {
		m.moved.Seen = append(m.moved.Seen, Seen{account, ids})
	}
}

// mostSlashes is how many hyphens of a unique-id may have been slashes.
const mostSlashes = 4

// slashed returns the other unique-ids that getmail writes like this one: it writes / as
// -. Servers use / in base64; hex digits and hyphens alone are taken for what they are.
// all is false if there are too many.
func slashed(uid string) (others []string, all bool) {
	hyphens := strings.Count(uid, "-")
	if hyphens == 0 || hexID.MatchString(uid) {
		return nil, true
	}
	if hyphens > mostSlashes {
		return nil, false
	}
	for choice := 1; choice < 1<<hyphens; choice++ {
		other, k := []byte(uid), 0
		for i := range other {
			if other[i] == '-' {
				if choice>>k&1 == 1 {
					other[i] = '/'
				}
				k++
			}
		}
		others = append(others, string(other))
	}
	return others, true
}
