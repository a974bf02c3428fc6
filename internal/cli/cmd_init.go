package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"popfetch/deliver/mda"
	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/discovery"
	"popfetch/internal/peer"
	"popfetch/internal/provider"
	"popfetch/internal/secret"
)

func (p *program) initCommand() *cli.Command {
	text := func(name, usage string) cli.Flag { return &cli.StringFlag{Name: name, Usage: usage} }
	return &cli.Command{
		Name: "init", Usage: "find the server of an address, test the login, and write the configuration",
		ArgsUsage: "ADDRESS", Action: p.initAccount,
		Flags: flags(
			text("server", "the server is `HOST` or host:port: look for none"),
			text("tls", "TLS with --server: implicit, starttls or none (`MODE`); the default is what the server has"),
			text("user", "log in as `USER`"),
			text("name", "the account is called `NAME`"),
			text("tls-ca-file", "the certificate is signed by an authority in `FILE`"),
			text("tls-fingerprint", "trust the server whose certificate or key has this fingerprint (`PIN`), or first-use: the key of the first poll"),
			text("maildir", "deliver into the Maildir `DIR`; the default is ~/Mail/NAME"),
			text("mbox", "deliver into the mbox `FILE`"),
			text("mda", "deliver to the program `COMMAND`, such as \"procmail -t\""),
			text("keep-for", "keep mail on the server for this `TIME`, such as 14d, forever (the default), or 0"),
			text("password-command", "`COMMAND` prints the password"),
			text("password-file", "the first line of `FILE` is the password"),
			boolFlag("keep the password in the keyring of the desktop", "keyring"),
			text("token-command", "`COMMAND` prints an OAuth 2.0 access token"),
			text("client-id", "sign in by OAuth 2.0 as the client `ID`, see popfetch-oauth(7)"),
			text("client-secret-command", "`COMMAND` prints the secret of the client, for --client-id"),
			boolFlag("add the account to a configuration that exists", "add"),
			boolFlag("write the configuration to standard output and nothing to files", "print"),
			boolFlag("ask nothing", "no-input"),
			boolFlag("do not ask Thunderbird's database, which would learn the domain", "no-database"),
		),
	}
}

// initFlags are the flags of init, as typed.
type initFlags struct {
	server, tls, user, name, keepFor     string
	tlsCAFile, tlsFingerprint            string
	maildir, mbox, mda                   string
	passwordCommand, passwordFile        string
	tokenCommand, clientID, clientSecret string
	keyring, add, print, noDatabase      bool
}

// setup is one run of init.
type setup struct {
	*program
	con      *console
	ask      *dialogue
	flags    initFlags
	address  discovery.Address
	target   string         // the configuration file
	existing *config.Config // what it holds, nil = it does not exist
	text     string         // of existing

	authorities string               // the file that vouches for the server, "" = the system's
	pins        []config.Fingerprint // of the server; nil = an authority vouches for it

	account  *config.Account // in the making
	provider *provider.Provider
	typed    string // the password, if it is known and has no place yet
	waiting  string // how much mail waits, in words
}

func (p *program) initAccount(c *cli.Context) error {
	s := &setup{program: p, con: p.console(c), flags: initFlags{
		server: c.String("server"), tls: c.String("tls"), user: c.String("user"), name: c.String("name"), keepFor: c.String("keep-for"),
		tlsCAFile: c.String("tls-ca-file"), tlsFingerprint: c.String("tls-fingerprint"),
		maildir: c.String("maildir"), mbox: c.String("mbox"), mda: c.String("mda"),
		passwordCommand: c.String("password-command"), passwordFile: c.String("password-file"), tokenCommand: c.String("token-command"), clientID: c.String("client-id"), clientSecret: c.String("client-secret-command"),
		keyring: c.Bool("keyring"), add: c.Bool("add"), print: c.Bool("print"), noDatabase: c.Bool("no-database"),
	}}
	s.ask = &dialogue{in: os.Stdin, out: p.err, terminal: secret.NewTerminal(os.Stdin, p.err), silent: c.Bool("no-input")}
	s.target = c.String("config")
	if s.target == "" {
		s.target = config.OwnPath()
	}
	if err := s.arguments(c.Args().Slice()); err != nil {
		return err
	}
	if err := s.readExisting(c.Context); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{s.findServer, s.login, s.askTheRest, s.write} {
		if err := step(c.Context); err != nil {
			return err
		}
	}
	return nil
}

// arguments checks what does not need the network.
func (s *setup) arguments(args []string) error {
	if len(args) != 1 {
		return &usage{"init: name one mail address"}
	}
	var err error
	if s.address, err = discovery.ParseAddress(args[0]); err != nil {
		return &usage{"init: " + err.Error()}
	}
	f := s.flags
	if f.tls != "" && f.server == "" {
		return &usage{"init: --tls goes with --server: a server that was found has told how TLS begins"}
	}
	if f.tls != "" && !slices.Contains([]string{"implicit", "starttls", "none"}, f.tls) {
		return &usage{fmt.Sprintf("init: --tls %q is not implicit, starttls or none", f.tls)}
	}
	if err := s.trustFlags(); err != nil {
		return err
	}
	sources := setOf(map[string]bool{
		"--password-command": f.passwordCommand != "", "--password-file": f.passwordFile != "", "--keyring": f.keyring, "--token-command": f.tokenCommand != "", "--client-id": f.clientID != "",
	})
	destinations := setOf(map[string]bool{"--maildir": f.maildir != "", "--mbox": f.mbox != "", "--mda": f.mda != ""})
	switch {
	case len(destinations) > 1:
		return &usage{fmt.Sprintf("init: %s exclude each other", strings.Join(destinations, " and "))}
	case f.clientSecret != "" && f.clientID == "":
		return &usage{"init: --client-secret-command goes with --client-id"}
	case len(sources) > 1:
		return &usage{fmt.Sprintf("init: %s exclude each other", strings.Join(sources, " and "))}
	case s.ask.silent && len(sources) == 0:
		return &usage{"init: with --no-input name where the password is: --password-command, --password-file, --token-command or --client-id"}
	case s.ask.silent && f.keyring:
		return &usage{"init: --keyring needs the password, which --no-input does not ask for; popfetch password set puts one there later"}
	}
	if f.mda != "" {
		if err := mda.Check(command(f.mda)); err != nil {
			return &usage{"init: --mda: " + err.Error()}
		}
	}
	if f.keepFor != "" {
		if _, err := parseKeep(f.keepFor); err != nil {
			return &usage{"init: --keep-for: " + err.Error()}
		}
	}
	return nil
}

// setOf returns the flags that are set, in their order.
func setOf(flags map[string]bool) (list []string) {
	for flag, set := range flags {
		if set {
			list = append(list, flag)
		}
	}
	slices.Sort(list)
	return list
}

// parseKeep reads how long mail stays on the server.
func parseKeep(text string) (config.Keep, error) {
	switch strings.ToLower(text) {
	case "forever", "true", "yes":
		return config.Keep{}, nil
	case "0", "false", "no":
		return config.Keep{Delete: true}, nil
	}
	d, err := config.ParseDuration(text)
	if err != nil || d == 0 {
		return config.Keep{}, fmt.Errorf("%q is not forever, 0 or a time such as 14d", text)
	}
	return config.Keep{Delete: true, After: d}, nil
}

// readExisting reads the configuration that is there, and asks whether to add to it.
func (s *setup) readExisting(ctx context.Context) error {
	if s.flags.print {
		return nil
	}
	if _, err := os.Lstat(s.target); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	o := configOptions()
	o.Accountless = true
	cfg, err := config.Load(s.target, o)
	if err != nil {
		return &fetch.ConfigError{Err: err}
	}
	data, _, err := config.ReadFile(s.target, mostImported)
	if err != nil {
		return &fetch.ConfigError{Err: err}
	}
	s.existing, s.text = cfg, string(data)
	if s.flags.add {
		return nil
	}
	var names []string
	for _, a := range cfg.Accounts {
		names = append(names, a.Name)
	}
	exists := &fetch.ConfigError{Err: &config.Error{File: s.target, Msg: "exists already, and init overwrites nothing",
		Hint: "--add adds the account to it, --config names another file, --print writes to standard output"}}
	if !s.ask.attended() {
		return exists
	}
	switch has := cut(strings.Join(names, ", ")); len(names) {
	case 0:
		s.con.say("%s has no account yet", tilde(s.target))
	case 1:
		s.con.say("%s has the account %s", tilde(s.target), has)
	default:
		s.con.say("%s has the accounts %s", tilde(s.target), has)
	}
	yes, err := s.ask.agrees(ctx, "Add an account for "+s.address.String()+" to it?", "yes")
	if err == nil && !yes {
		return exists
	}
	return err
}

// cut shortens a long text.
func cut(text string) string {
	const most = 200
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// findServer makes the account with its server and user.
func (s *setup) findServer(ctx context.Context) error {
	if p := provider.ByDomain(s.address.Domain); p != nil && !p.NoPOP3 {
		s.provider = p
	}
	found, err := s.server(ctx)
	if err != nil {
		return err
	}
	if s.provider == nil {
		s.provider = provider.ByHost(found.Host)
	}
	name := s.flags.name
	if name == "" {
		name = s.accountName()
	}
	a, err := s.newAccount(name, found)
	if err != nil {
		return err
	}
	s.account, a.Server = a, found.Host
	if usual := a.TLS == config.TLSImplicit && a.Port == 995 || a.TLS != config.TLSImplicit && a.Port == 110; !usual || strings.Contains(found.Host, ":") {
		a.Server = a.Address()
	}
	if a.User = s.flags.user; a.User == "" {
		a.User = found.User
	}
	if s.provider != nil && s.provider.Interval != "" {
		if d, err := config.ParseDuration(s.provider.Interval); err == nil {
			a.Interval = d
		}
	}
	if found.TokenOnly || s.flags.clientID != "" {
		if err := s.oauth(ctx, found.TokenOnly); err != nil {
			return err
		}
	}
	return s.checkTwin()
}

// accountName returns a name for the account that is not taken: "example" for
// me@example.org, or the address.
func (s *setup) accountName() string {
	taken := func(name string) bool {
		return s.existing != nil && slices.ContainsFunc(s.existing.Accounts, func(a *config.Account) bool { return a.Name == name })
	}
	first, _, _ := strings.Cut(s.address.Domain, ".")
	address := strings.TrimLeft(strings.Map(func(r rune) rune {
		if r < 128 && !strings.ContainsRune(`"!#$%&'*/=?^{|}~()<>[]:;,\`+"`", r) {
			return r
		}
		return '-'
	}, s.address.String()), "-.")
	for _, name := range []string{first, address} {
		if len(name) <= 60 && name != "" && !taken(name) {
			return name
		}
	}
	for n := 2; ; n++ {
		if name := fmt.Sprintf("%.50s-%d", first, n); !taken(name) {
			return name
		}
	}
}

// checkTwin is an error if the configuration has the maildrop already.
func (s *setup) checkTwin() error {
	if s.existing == nil {
		return nil
	}
	for _, a := range s.existing.Accounts {
		if a.User == s.account.User && a.Host == s.account.Host {
			return &fetch.ConfigError{Err: &config.Error{File: s.target, Account: a.Name, Msg: fmt.Sprintf("is user %s at %s already", a.User, a.Host), Hint: "popfetch check " + a.Name + " tests it"}}
		}
		if a.Name == s.account.Name {
			return &fetch.ConfigError{Err: &config.Error{File: s.target, Account: a.Name, Msg: "exists already", Hint: "--name gives another name"}}
		}
	}
	return nil
}

// askTheRest asks for what init cannot know, unless a flag has it.
func (s *setup) askTheRest(ctx context.Context) error {
	if err := s.destination(ctx); err != nil {
		return err
	}
	a, keep := s.account, s.flags.keepFor
	var err error
	for {
		if keep == "" && s.ask.attended() {
			if keep, err = s.ask.ask(ctx, "Keep mail on the server for how long: forever, 0, or a time such as 14d", "forever"); err != nil {
				return err
			}
		}
		if keep == "" {
			keep = "forever"
		}
		if a.Keep, err = parseKeep(keep); err == nil {
			return nil
		}
		s.con.say("%v", err)
		keep = ""
	}
}

// destination notes where mail goes: the one of a flag, else that of [defaults], else a
// Maildir.
func (s *setup) destination(ctx context.Context) (err error) {
	a, f := s.account, s.flags
	if f.mda == "" && f.mbox == "" && f.maildir == "" {
		if follows, err := s.followsDefaults(ctx); follows || err != nil {
			return err
		}
	}
	switch {
	case f.mda != "":
		a.MDA = command(f.mda)
		return nil
	case f.mbox != "":
		a.MBox, err = absolute(f.mbox)
	default:
		dir := f.maildir
		if dir == "" {
			dir = "~/Mail/" + a.Name
			if s.ask.attended() {
				if dir, err = s.ask.ask(ctx, "Maildir", dir); err != nil {
					return err
				}
			}
		}
		a.Maildir, err = absolute(dir)
	}
	if err != nil {
		return &fetch.ConfigError{Err: err}
	}
	return nil
}

// followsDefaults reports whether the account has the destination of [defaults]: if there is
// one, and the user does not want another. It says so.
func (s *setup) followsDefaults(ctx context.Context) (bool, error) {
	if s.existing == nil || s.existing.Defaults == nil || s.existing.Defaults.Destination() == "" {
		return false, nil
	}
	where := s.existing.Defaults.Destination()
	switch d := s.existing.Defaults; {
	case d.Maildir != "":
		where += " " + tilde(d.Maildir)
	case d.MBox != "":
		where += " " + tilde(d.MBox)
	case len(d.MDA) > 0:
		where += " " + d.MDA[0]
	}
	if s.ask.attended() {
		return s.ask.agrees(ctx, "Deliver where [defaults] says ("+where+")?", "yes")
	}
	if s.con.quiet {
		return true, nil
	}
	s.con.say("mail goes where [defaults] says (%s); --maildir, --mbox and --mda name another place", where)
	return true, nil
}

// absolute returns a path that a leading ~ or the current directory completes.
func absolute(path string) (string, error) {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/') {
		home, err := config.HomeDir()
		return filepath.Join(home, rest), err
	}
	return filepath.Abs(path)
}

// command returns the argument list of a command that the user has typed.
func command(line string) []string { return peer.Command(line) }
