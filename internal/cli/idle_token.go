package cli

import (
	"context"
	"log/slog"
	"time"

	"popfetch/internal/config"
	"popfetch/internal/oauth"
)

const (
	// idleRenewal is how old the tokens of a destination get before a poll renews them, as
	// if mail had come. Microsoft ends a sign-in that is not used for 90 days, Google one
	// that is not used for 6 months.
	idleRenewal = 7 * 24 * time.Hour
	// idlePause is the pause between two attempts.
	idlePause = time.Hour
)

// idleGrant is a sign-in at the destination of an account, which only mail makes use of.
// One poll uses it at a time.
type idleGrant struct {
	*oauth.Grant
	log   *slog.Logger
	tried time.Time
}

// idleGrant returns the sign-in at the destination of a, nil if it has none.
func (s *selection) idleGrant(a *config.Account, log *slog.Logger) *idleGrant {
	protocol, g := serverLogin(a)
	if g == nil || !g.OAuth.IsSet() {
		return nil
	}
	return &idleGrant{Grant: s.grant(a.Name, g, serverTokens(protocol, g)), log: log}
}

// keep renews the tokens if they are old. An error is only told: no mail needs them now.
func (g *idleGrant) keep(ctx context.Context) {
	if g == nil || time.Since(g.tried) < idlePause {
		return
	}
	g.tried = time.Now()
	if err := g.Keep(ctx, idleRenewal); err != nil && ctx.Err() == nil {
		g.log.Warn("the sign-in at the destination was not renewed", "reason", err)
	}
}
