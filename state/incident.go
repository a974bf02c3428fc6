package state

import (
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// Incident is a failure of a maildrop that lasts: from the first poll that failed to the
// next that goes well. It is what a run has to know to tell its user of a failure once,
// and of its end. A store from before incidents has none. Times other than Said and Changed
// are whole seconds.
type Incident struct {
	Since time.Time `json:"since"` // the first poll that failed
	Last  time.Time `json:"last"`  // the latest
	Polls int       `json:"polls"` // that have failed
	// Class and Error are those of the failure that the user was last told of. The store
	// does not interpret them.
	Class string `json:"class"`
	Error string `json:"error"`
	// Said is when the user was last told, Messages which messages the user knows of.
	Said     time.Time `json:"said"`
	Messages []string  `json:"messages,omitempty"`
	// Changed is when the configuration had last been changed at the latest poll.
	Changed time.Time `json:"changed,omitzero"`
	// Failures is how many polls in a row failed for the account as a whole, and Next
	// when a daemon polls it again.
	Failures int       `json:"failures,omitzero"`
	Next     time.Time `json:"next,omitzero"`
}

// incidentsName is the bucket of the incidents: a sealed JSON object for each maildrop. It
// is made with the first incident. A value that cannot be read counts as none: it
// decides only what the user is told.
const incidentsName = "incidents"

// Incidents implements Store.
func (s *Bolt) Incidents() (map[string]Incident, error) {
	all := make(map[string]Incident)
	err := s.read(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(incidentsName))
		if b == nil {
			return nil
		}
		return b.ForEach(func(key, value []byte) error {
			var i Incident
			text, err := unseal(key, value)
			if err == nil && json.Unmarshal(text, &i) == nil {
				all[string(key)] = i
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// PutIncident implements Store.
func (s *Bolt) PutIncident(key string, i *Incident) error {
	invalid := checkLength("key of a maildrop", key, MaxKey)
	name := []byte(key)
	if i == nil {
		return s.change(invalid, func(tx *bbolt.Tx) error {
			if b := tx.Bucket([]byte(incidentsName)); b != nil {
				return b.Delete(name)
			}
			return nil
		})
	}
	text, err := json.Marshal(i.rounded())
	if err != nil {
		return fmt.Errorf("state file %s: incident of %q: %w", s.path, key, err)
	}
	return s.change(invalid, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(incidentsName))
		if err != nil {
			return err
		}
		return b.Put(name, seal(name, text))
	})
}

// rounded returns the incident as a store keeps it.
func (i Incident) rounded() Incident {
	for _, t := range []*time.Time{&i.Since, &i.Last, &i.Next} {
		*t = t.UTC().Truncate(time.Second)
	}
	i.Said, i.Changed = i.Said.UTC().Round(0), i.Changed.UTC().Round(0)
	return i
}
