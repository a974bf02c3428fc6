package fetch

import (
	"context"
	"log/slog"
)

// mostAlike is how many notices with the same text a poll logs one by one.
const mostAlike = 5

// notices logs what a poll may have to say about each of very many messages. Of the
// notices with one text the first mostAlike are logged as they come, and the others are
// counted. So a server cannot fill the log.
type notices struct {
	log   *slog.Logger
	kinds []*notice // in the order in which they first came
}

type notice struct {
	level slog.Level
	text  string
	n     int
}

// add logs or counts a notice about one message.
func (n *notices) add(level slog.Level, text string, args ...any) {
	kind := n.kind(level, text)
	if kind.n++; kind.n <= mostAlike {
		n.log.Log(context.Background(), level, text, args...)
	}
}

func (n *notices) kind(level slog.Level, text string) *notice {
	for _, k := range n.kinds {
		if k.level == level && k.text == text {
			return k
		}
	}
	k := &notice{level: level, text: text}
	n.kinds = append(n.kinds, k)
	return k
}

// end logs how many notices were counted only.
func (n *notices) end() {
	for _, k := range n.kinds {
		if more := k.n - mostAlike; more > 0 {
			n.log.Log(context.Background(), k.level, "the same for more messages: "+k.text, "messages", more)
		}
	}
	n.kinds = nil
}
