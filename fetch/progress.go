package fetch

// Progress is told how a poll goes, from the goroutine of the poll.
type Progress interface {
	// Stage says what the poll does from now on. It may come back to an earlier stage.
	Stage(s Stage)
	// Start says what will be retrieved, at the stage Receiving; octets is the size that
	// the server announced, 0 if that is not known.
	Start(messages int, octets int64)
	// Received adds n octets.
	Received(n int)
	// Message says that one more of the messages was received, or refused.
	Message()
	// End says that the poll has ended, at whatever stage.
	End()
}

// Stage is what a poll is doing.
type Stage uint8

const (
	Connecting Stage = iota
	LoggingIn
	Listing   // and planning
	Receiving // and delivering
	Finishing // deletes and quits
)

// showStage tells Progress what the poll does from now on. Look, Seed and Relearn tell nothing.
func (p *poll) showStage(s Stage) {
	if p.Progress != nil && p.records {
		p.Progress.Stage(s)
	}
}
