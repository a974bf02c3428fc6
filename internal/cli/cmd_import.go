package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"popfetch/deliver/mda"
	"popfetch/deliver/relay"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/internal/config"
	"popfetch/internal/peer"
	"popfetch/state"
)

// fetcher is another program that popfetch takes over from.
type fetcher struct {
	name  string
	files func(home, configHome string) []string // where its configuration is, the first that exists
	read  func(f peer.Files, file string, c *config.Config) (*peer.Moved, error)
}

func fetchers() []fetcher {
	return []fetcher{
		{"mpop", peer.MpopFiles, peer.Mpop},
		{"fetchmail", func(home, _ string) []string { return peer.FetchmailFiles(home, fetchmailHome()) }, peer.Fetchmail},
		{"getmail", peer.GetmailFiles, peer.Getmail},
		{"fdm", peer.FdmFiles, peer.Fdm},
		{"thunderbird", peer.ThunderbirdFiles, peer.Thunderbird},
	}
}

func fetcherNames() (names []string) {
	for _, f := range fetchers() {
		names = append(names, f.name)
	}
	return names
}

func (p *program) importCommand() *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "take over the configuration and the seen mail of another fetcher: " + strings.Join(fetcherNames(), ", "),
		ArgsUsage: "FETCHER [FILE]", Action: p.importPeer,
		Flags: flags(boolFlag("write the configuration, with its passwords, to standard output and do nothing else", "print")),
	}
}

// mostImported is how many octets of a file of another fetcher are read.
const mostImported = 256 << 20

func (p *program) importPeer(c *cli.Context) error {
	con, names := p.console(c), fetcherNames()
	args := c.Args().Slice()
	if len(args) == 0 || len(args) > 2 {
		return &usage{"import: name the fetcher (" + strings.Join(names, ", ") + "), and its configuration file if it is not the usual one"}
	}
	k := slices.Index(names, args[0])
	if k < 0 {
		return &usage{fmt.Sprintf("import: unknown fetcher %q%s; popfetch knows %s", args[0], didYouMean(args[0], names), strings.Join(names, ", "))}
	}
	target := c.String("config")
	if target == "" {
		target = config.OwnPath()
	}
	if !c.Bool("print") {
		if err := absent(target); err != nil {
			return err
		}
	}
	moved, err := readPeer(fetchers()[k], args[1:])
	if err != nil {
		return &fetch.ConfigError{Err: err}
	}
	carried := keepValid(moved)
	for _, r := range moved.Remarks {
		con.say("%s", printable(r.String()))
	}
	if len(carried) == 0 {
		return &fetch.ConfigError{Err: &config.Error{File: args[0], Msg: "no account can be carried over; nothing was written"}}
	}
	var text bytes.Buffer
	if err := moved.Config.Write(&text, moved.Comments, configOptions()); err != nil {
		return &fetch.ConfigError{Err: err}
	}
	if c.Bool("print") {
		_, err := con.out.Write(text.Bytes())
		return err
	}
	return p.takeOver(c.Context, con, target, text.Bytes(), moved)
}

func configOptions() config.Options {
	return config.Options{CheckMDA: mda.Check, CheckRecipient: relay.CheckAddress, Methods: pop3.Methods()}
}

// withConfig returns a command for the user that works with a configuration.
func withConfig(command, file string) string {
	if file != config.DefaultPath() {
		command += " --config " + file
	}
	return command
}

// absent is an error if there is anything at path: import overwrites nothing.
func absent(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		e := &config.Error{File: path, Msg: "exists already, and import overwrites nothing", Hint: "--config names another file, --print writes to standard output"}
		if err != nil {
			e = &config.Error{File: path, Msg: config.WithoutPath(err).Error(), Err: err}
		}
		return &fetch.ConfigError{Err: e}
	}
	return nil
}

// readPeer reads the configuration of a fetcher from the file that is named, or from one
// of the usual ones.
func readPeer(f fetcher, named []string) (*peer.Moved, error) {
	home, err := config.HomeDir()
	if err != nil {
		return nil, err
	}
	configHome := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(configHome) {
		configHome = filepath.Join(home, ".config")
	}
	files := named
	if len(files) == 0 {
		files = f.files(home, configHome)
	}
	file := files[0]
	for _, other := range files {
		if _, err := os.Stat(other); err == nil {
			file = other
			break
		}
	}
	if file, err = filepath.Abs(file); err != nil {
		return nil, err
	}
	c, err := config.New()
	if err != nil {
		return nil, err
	}
	read := func(path string) ([]byte, error) {
		data, _, err := config.ReadFile(path, mostImported)
		return data, err
	}
	list := func(path string) (names []string, err error) {
		entries, err := os.ReadDir(path)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names, err
	}
	name := ""
	if me, err := user.Current(); err == nil {
		name = me.Username
	}
	return f.read(peer.Files{Home: home, User: name, FetchmailHome: fetchmailHome(), Read: read, List: list}, file, c)
}

// fetchmailHome is $FETCHMAILHOME if it is an absolute path.
func fetchmailHome() string {
	if dir := os.Getenv("FETCHMAILHOME"); filepath.IsAbs(dir) {
		return dir
	}
	return ""
}

// keepValid takes out the accounts that a configuration may not have, with a remark for
// each, and returns the others.
func keepValid(moved *peer.Moved) []*config.Account {
	all := moved.Config.Accounts
	moved.Config.Accounts = nil
	for _, a := range all {
		moved.Config.Accounts = append(moved.Config.Accounts, a)
		err := moved.Config.Write(io.Discard, nil, configOptions())
		if err == nil {
			continue
		}
		moved.Config.Accounts = moved.Config.Accounts[:len(moved.Config.Accounts)-1]
		why := err.Error()
		if errs, ok := errors.AsType[config.Errors](err); ok && len(errs) > 0 {
			why = strings.TrimPrefix(errs[0].Key+": ", ": ") + errs[0].Msg
		}
		moved.Remarks = append(moved.Remarks, peer.Remark{
			File: strings.TrimPrefix(moved.Comments[a.Name], "from "), What: "account " + a.Name, Why: "left out: " + why,
		})
		moved.Seen = slices.DeleteFunc(moved.Seen, func(s peer.Seen) bool { return s.Account == a.Name })
	}
	return moved.Config.Accounts
}

// takeOver records what was seen and then writes the configuration: a poll must not run
// without those records.
func (p *program) takeOver(ctx context.Context, con *console, target string, text []byte, moved *peer.Moved) error {
	draft, err := newConfigDraft(target, string(text))
	if err != nil {
		return err
	}
	defer draft.discard()
	cfg, err := draft.load()
	if err != nil {
		return err
	}
	counts, err := p.recordSeen(ctx, con, cfg, moved.Seen)
	if err != nil {
		return &fetch.StateError{Err: err}
	}
	if err := draft.publish(); err != nil {
		return err
	}
	for _, a := range cfg.Accounts {
		fmt.Fprintf(con.out, "%s: %s known as delivered\n", a.Name, messages(counts[a.Name]))
	}
	fmt.Fprintf(con.out, "wrote %s with mode 0600; %s tests it, %s fetches the new mail\n", tilde(target), withConfig("popfetch check", target), withConfig("popfetch --once", target))
	if slices.ContainsFunc(cfg.Accounts, func(a *config.Account) bool { return a.Keep.Delete && counts[a.Name] > 0 }) {
		fmt.Fprintln(con.out, "mail that the other fetcher has left on a server stays there: popfetch deletes only what it has fetched itself")
	}
	return nil
}

// importAtOnce is how many unique-ids one transaction records.
const importAtOnce = 10_000

// recordSeen records the unique-ids of each account as delivered, without touching
// records that exist, and returns how many there were. The messages are not deleted on
// the word of these ids, see state.Record.Unproven.
func (p *program) recordSeen(ctx context.Context, con *console, cfg *config.Config, seen []peer.Seen) (counts map[string]int, err error) {
	store, err := ownAlone(ctx, stateFile(cfg), "import")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	defer p.serveAlone(con, &house{selection: &selection{config: cfg}, log: con.log}, store, "import")()
	counts = make(map[string]int)
	now := time.Now()
	for _, s := range seen {
		k := slices.IndexFunc(cfg.Accounts, func(a *config.Account) bool { return a.Name == s.Account })
		if k < 0 {
			continue
		}
		maildrop := store.Maildrop(state.Key(cfg.Accounts[k].User, cfg.Accounts[k].Host))
		var entries []state.Entry
		i := 0
		for id := range plan.RecordedIDs(uids(s.IDs)) {
			first := s.IDs[i].Time
			if !s.IDs[i].Guess {
				counts[s.Account]++
			}
			i++
			if first.IsZero() || first.After(now) {
				first = now
			}
			was, err := maildrop.Get(id)
			if err != nil {
				return nil, err
			}
			if !was.Seen() {
				entries = append(entries, state.Entry{ID: id, Record: state.Record{Delivered: first, Octets: -1, Unproven: true}})
			}
		}
		if err := maildrop.Commit(state.Change{Begin: true}); err != nil {
			return nil, err
		}
		for chunk := range slices.Chunk(entries, importAtOnce) {
			if err := maildrop.Commit(state.Change{Put: chunk}); err != nil {
				return nil, err
			}
		}
	}
	return counts, nil
}

// uids returns the unique-ids alone.
func uids(ids []peer.ID) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, id := range ids {
			if !yield(id.UID) {
				return
			}
		}
	}
}
