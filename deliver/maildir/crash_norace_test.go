//go:build !race

package maildir

const raceDetector = false
