package mailbox

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"popfetch/deliver"
)

func TestFolderShowsForWhichAccountItWasFilled(t *testing.T) {
	message := stamped("aa01", "Subject: x\r\n\r\nbody")
	field, _, _ := strings.Cut(message, "\r\n")
	quoting := "Subject: x\r\n\r\n" + message
	other := strings.Replace(message, "(account work)", "(account other)", 1)
	for name, x := range map[string]struct {
		inbox, spam []string
		want        bool
	}{
		"nothing":                   {nil, nil, false},
		"its message":               {[]string{other, message, other}, nil, true},
		"its message after a hop":   {[]string{"Received: from a by b\r\n\tfor c\r\n" + message}, nil, true},
		"that of another account":   {[]string{other}, nil, false},
		"the field in a body":       {[]string{quoting}, nil, false},
		"its message in spam":       {[]string{other}, []string{message}, true},
		"too long ago to be looked": {append([]string{message}, numbered(1000)...), nil, false},
		"among the latest":          {append([]string{message}, numbered(999)...), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			d := r.mailbox()
			defer d.Close()
			d.SpamFolder = "Spam"
			for folder, texts := range map[string][]string{"INBOX": x.inbox, "Spam": x.spam} {
				if len(texts) > 0 {
					b := &box{validity: 7, next: 1}
					for _, text := range texts {
						b.messages = append(b.messages, stored{uid: b.next, text: text})
						b.next++
					}
					r.boxes[folder] = b
				}
			}
			if got, err := d.Filled(t.Context(), field); got != x.want || err != nil {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func numbered(n int) (texts []string) {
	for i := range n {
		texts = append(texts, fmt.Sprintf("Subject: %d\r\n\r\n", i))
	}
	return texts
}

// Without an answer nobody knows, so the error is not for "it was not filled".
func TestFolderThatCannotBeLookedAtIsNotTakenForAnEmptyOne(t *testing.T) {
	for step, reply := range map[string]string{"connect": cut, "EXAMINE": "NO busy", "FETCH": cut} {
		r := newReceiver(t)
		d := r.mailbox()
		r.Answers(step, reply)
		_, err := d.Filled(t.Context(), "Received: x")
		var e *deliver.Error
		if !errors.As(err, &e) || e.Scope != deliver.Place {
			t.Errorf("%s: %v", step, err)
		}
		d.Close()
	}
}
