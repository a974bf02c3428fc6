package mailbox

import (
	"bytes"
	"context"
	"errors"

	"popfetch/deliver"
	"popfetch/internal/imap"
)

// Filled reports whether one of the latest messages of the folders has the line field in its
// Received fields, as popfetch puts it in front of a message. It looks at those with the latest
// 1,000 UIDs. It leaves the connection open, see Close. Errors are of scope Place.
func (m *Mailbox) Filled(ctx context.Context, field string) (bool, error) {
	filled := false
	err := m.use(ctx, func(open *connection) error {
		for _, configured := range []string{m.Folder, m.SpamFolder} {
			if configured == "" || filled {
				continue
			}
			f, err := find(open.client, configured)
			if err != nil {
				return err
			}
			if !f.exists() {
				continue
			}
			status, err := open.client.Examine(f.name)
			if err != nil {
				return err
			}
			err = open.client.Latest(max(status.UIDNext, latest+1)-latest, func(s imap.Message) {
				filled = filled || bytes.HasPrefix(s.Header, []byte(field+"\r\n")) || bytes.Contains(s.Header, []byte("\n"+field+"\r\n"))
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	var place *deliver.Error
	if err != nil && !errors.As(err, &place) {
		err = m.fail(deliver.Place, passing(err) || !errors.As(err, new(*imap.Refusal)), "", err)
	}
	return filled, err
}
