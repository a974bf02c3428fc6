package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/oauth"
	"popfetch/internal/secret"
)

// signInLimit is how long popfetch authorize waits for the user.
const signInLimit = 15 * time.Minute

func (p *program) authorizeCommand() *cli.Command {
	return &cli.Command{
		Name:      "authorize",
		Usage:     "sign in at the OAuth 2.0 provider of an account",
		ArgsUsage: "ACCOUNT",
		Action:    p.authorize,
		Flags: flags(
			boolFlag("use a browser on another machine, and paste the address that it ends at", "paste"),
			boolFlag("use a browser on another machine, and type a code there", "device"),
			destinationFlag(),
		),
	}
}

func (p *program) tokenCommand() *cli.Command {
	return &cli.Command{
		Name:      "token",
		Usage:     "print an access token of an account, for other programs",
		ArgsUsage: "ACCOUNT",
		Action:    p.token,
		Flags:     flags(destinationFlag()),
	}
}

// oneAccount returns the account that the only argument of c names in full.
func (p *program) oneAccount(c *cli.Context, con *console) (*selection, *config.Account, error) {
	if c.Args().Len() != 1 {
		return nil, nil, &usage{commandName(c) + " takes the name of one account"}
	}
	s, err := p.selection(c, con)
	if err != nil {
		return nil, nil, err
	}
	if len(s.chosen) != 1 {
		return nil, nil, &usage{fmt.Sprintf("%s takes one account, and %q matches %d", commandName(c), c.Args().First(), len(s.chosen))}
	}
	return s, s.chosen[0], nil
}

func (p *program) authorize(c *cli.Context) error {
	con := p.console(c)
	s, a, err := p.oneAccount(c, con)
	if err != nil {
		return err
	}
	if c.Bool("paste") && c.Bool("device") {
		return &usage{"authorize takes --paste or --device, not both"}
	}
	g, tokens, _, err := s.loginOf(c, a)
	if err != nil {
		return err
	}
	if !g.OAuth.IsSet() {
		return &fetch.AccountError{Account: a.Name, Errs: []error{&fetch.ConfigError{Err: errors.New("the account does not set oauth, so there is nothing to sign in at; see popfetch-oauth(7)")}}}
	}
	ctx, cancel := context.WithTimeoutCause(c.Context, signInLimit, fmt.Errorf("nobody has signed in within %v", signInLimit))
	defer cancel()
	grant := s.grant(a.Name, g, tokens)
	prompt := oauth.Prompt{Say: con.say, Show: func(line string) { fmt.Fprintln(con.out, line) }}
	switch {
	case c.Bool("device"):
		err = grant.Device(ctx, prompt)
	case c.Bool("paste"):
		err = grant.Paste(ctx, prompt, lineReader(os.Stdin))
	default:
		err = grant.Loopback(ctx, prompt)
	}
	if err != nil {
		return &fetch.AccountError{Account: a.Name, Errs: []error{secretError(err)}}
	}
	if !con.quiet {
		con.say("%s: signed in; %s keeps the tokens", a.Name, grant.File())
	}
	return nil
}

func (p *program) token(c *cli.Context) error {
	con := p.console(c)
	s, a, err := p.oneAccount(c, con)
	if err != nil {
		return err
	}
	g, _, source, err := s.loginOf(c, a)
	if err != nil {
		return err
	}
	if !g.YieldsToken() {
		return &fetch.AccountError{Account: a.Name, Errs: []error{&fetch.ConfigError{Err: errors.New("the account sets neither oauth nor token_command, so it has no token")}}}
	}
	text, err := source.Secret(c.Context)
	if err != nil {
		return &fetch.AccountError{Account: a.Name, Errs: []error{secretError(err)}}
	}
	fmt.Fprintln(con.out, text)
	return nil
}

// secret returns the source of the secret of an account.
func (s *selection) secret(a *config.Account) *secret.Source {
	return s.secretOf(a.Name, &a.Login, a.Name)
}

// secretOf returns the source of the secret of a login of an account. tokens names the file
// of its tokens.
func (s *selection) secretOf(account string, g *config.Login, tokens string) *secret.Source {
	source := secret.Of(account, g, s.terminal)
	if g.OAuth.IsSet() {
		source.Grant = s.grant(account, g, tokens)
	}
	return source
}

// grant returns what a login with oauth may do at its provider. Its tokens are beside the
// state file.
func (s *selection) grant(account string, g *config.Login, tokens string) *oauth.Grant {
	if tokens != account {
		account = "--destination " + account
	}
	return oauth.Of(account, g, filepath.Join(filepath.Dir(s.config.State), "tokens", tokens+".json"), s.terminal, webTransport(g))
}

// loginOf returns the login of an account that a command is about, the name of the file of
// its tokens and the source of its secret: with the flag destination that of its
// destination, which is a server then.
func (s *selection) loginOf(c *cli.Context, a *config.Account) (*config.Login, string, *secret.Source, error) {
	if !c.Bool("destination") {
		return &a.Login, a.Name, s.secret(a), nil
	}
	if protocol, g := serverLogin(a); g != nil {
		tokens := serverTokens(protocol, g)
		return g, tokens, s.secretOf(a.Name, g, tokens), nil
	}
	return nil, "", nil, &fetch.AccountError{Account: a.Name, Errs: []error{&fetch.ConfigError{Err: errors.New("the account has no destination that it logs in to")}}}
}

// destinationFlag is for commands about the login of an account.
func destinationFlag() cli.Flag {
	return boolFlag("the login at the destination of the account, not at its POP3 server", "destination")
}

// maxPasted bounds a line that is pasted, in octets.
const maxPasted = 64 << 10

// lineReader returns a function that reads a line from r. When its ctx ends, the line that
// is typed next is lost.
func lineReader(r io.Reader) func(context.Context) (string, error) {
	in := bufio.NewReader(io.LimitReader(r, maxPasted))
	type result struct {
		line string
		err  error
	}
	return func(ctx context.Context) (string, error) {
		done := make(chan result, 1)
		go func() {
			line, err := in.ReadString('\n')
			if line != "" && errors.Is(err, io.EOF) {
				err = nil
			}
			done <- result{line, err}
		}()
		select {
		case got := <-done:
			if got.err != nil {
				return "", &usage{fmt.Sprintf("authorize: nothing was pasted: %v", got.err)}
			}
			return got.line, nil
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}
