//go:build race

package maildir

const raceDetector = true
