package control

import (
	"bytes"
	"encoding/json"
	"time"
)

// featureWatch is what an owner can do that knows Request.Watch.
const featureWatch = "watch"

// features are what this version can do beyond what the first of Protocol could.
func features() []string { return []string{featureWatch} }

// Watch asks to be shown what the owner does while it does it.
type Watch struct {
	Progress bool `json:"progress,omitempty"`
	Level    int  `json:"level"` // of the least important lines of the log, see log/slog
}

// Watched is what goes on at an owner, sent now and then while it works.
type Watched struct {
	// Progress is of all polls under way, if the client wants it; the others do not run now.
	Progress []Progress `json:"progress,omitempty"`
	Log      []LogLine  `json:"log,omitempty"`
	// Lost is how many lines before Log the owner has dropped, because the client did not
	// read them in time.
	Lost int `json:"lost,omitempty"`
}

// Progress is how far a poll is.
type Progress struct {
	Account string `json:"account"`
	// Stage is "connecting", "login", "listing", "receiving" or "finishing".
	Stage       string `json:"stage"`
	Messages    int    `json:"messages"` // received
	Octets      int64  `json:"octets"`
	AllMessages int    `json:"all_messages"` // to receive
	AllOctets   int64  `json:"all_octets"`   // 0 = unknown
}

// LogLine is a line of the log about an account.
type LogLine struct {
	Account string    `json:"account"`
	Time    time.Time `json:"time"`
	Level   int       `json:"level"`
	Text    string    `json:"text"`
	Attrs   []Attr    `json:"attrs,omitempty"`
}

// Attr is an attribute of a line of the log. Value is a string, a bool or a number; a number
// arrives as a json.Number.
type Attr struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// UnmarshalJSON keeps numbers as they are written.
func (a *Attr) UnmarshalJSON(text []byte) error {
	type plain Attr
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode((*plain)(a))
}
