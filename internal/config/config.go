// Package config turns config.toml into validated plain data.
//
// Load reports all problems of a file at once, each with its line; only a syntax
// error ends it, since nothing behind one can be read. What Load returns needs no
// further checks: defaults are applied, paths are absolute, accounts are in the
// order of the file. It looks up no password and runs no program: an Account
// names the source of its password, and package secret resolves that.
package config

import "time"

// Config is one config.toml. Nothing in this package changes it after Load.
//
// The toml tags of Config and Account are the complete list of keys. The word after the
// comma is what is done with a text: a "path" is expanded and made absolute; so is a
// "template", which may contain {account}; in an "argv" the program is expanded; in
// "globs" each element is; a "name" may contain {account}; "words", "scopes", "recipients"
// and "flags" are one or a list; a "listen" is an address of this machine with its port. A
// "table" has keys of its own.
type Config struct {
	File string `toml:"-"` // path of the file, as given to Load

	Include         []string `toml:"include,globs"`     // patterns of files with more accounts, absolute
	Interval        Duration `toml:"interval"`          // time between two polls of an account
	Parallel        int      `toml:"parallel"`          // accounts polled at once
	ParallelPerHost int      `toml:"parallel_per_host"` // of these, at one server
	State           string   `toml:"state,path"`        // the state file
	OnNewMail       []string `toml:"on_new_mail,argv"`  // run after a round that delivered something; nil = none
	OnFailure       []string `toml:"on_failure,argv"`   // run when the user is told of a failure or of its end; nil = none

	MetricsListen Endpoint `toml:"metrics_listen,listen"` // where the daemon serves metrics for Prometheus
	MetricsFile   string   `toml:"metrics_file,path"`     // where metrics are written for node_exporter, "" = nowhere

	Modified time.Time  `toml:"-"` // when a file of it was last changed
	Accounts []*Account `toml:"-"` // in the order of the file, disabled ones included
	Defaults *Account   `toml:"-"` // [defaults] of File, with the built-in ones and placeholders not filled in; nil = none
	Warnings []string   `toml:"-"` // what is allowed but probably not intended, a sentence each
}

// Account is one [account.NAME] with [defaults] and the built-in defaults
// applied.
type Account struct {
	Name string `toml:"-"` // letters, digits and . _ - + @, safe as part of a path

	Enabled bool `toml:"enabled"` // false: only commands that name the account use it

	Login // at the POP3 server; User is not empty

	// Exactly one of these is set.
	Maildir string   `toml:"maildir,template"`
	MDA     []string `toml:"mda,argv"` // arguments with their placeholders
	MBox    string   `toml:"mbox,template"`
	LMTP    Endpoint `toml:"lmtp"`
	SMTP    SMTP     `toml:"smtp,table"`
	IMAP    IMAP     `toml:"imap,table"`

	Recipients []string `toml:"recipient,recipients"` // for LMTP and SMTP; User if it is not written

	MDATimeout  Duration   `toml:"mda_timeout"`  // one run of the MDA
	Keep        Keep       `toml:"keep"`         // what becomes of delivered messages on the server
	MaxSize     Size       `toml:"max_size"`     // octets; 0 = no limit
	MaxMessages int        `toml:"max_messages"` // fetched in one poll; 0 = no limit
	Interval    Duration   `toml:"interval"`     // this account's, or that of Config
	Timeout     Duration   `toml:"timeout"`      // one reply, or 1 KiB of a body
	MinRate     Size       `toml:"min_rate"`     // octets a second that a server has to send; 0 = any
	Deadline    Duration   `toml:"deadline"`     // one poll as a whole
	Pipelining  Pipelining `toml:"pipelining"`   // whether commands are sent before the previous reply has come
	Received    bool       `toml:"received"`     // add a Received field to each message
}

// Options is what Load must know about the other parts of the program. The zero
// value is valid.
type Options struct {
	// CheckMDA returns what is wrong with an mda command, such as an unknown
	// placeholder, or nil. A nil CheckMDA accepts every command.
	CheckMDA func(argv []string) error
	// CheckRecipient returns what is wrong with the recipient of an account with LMTP or SMTP, ""
	// for nothing. A nil CheckRecipient accepts every recipient.
	CheckRecipient func(address string) string
	// Accountless has Load accept a configuration without accounts, to which one is added.
	Accountless bool
	// Home, if it is not "", is the home directory, for which Write and Append write ~.
	Home string
	// Methods are the names that the key auth accepts, in lower case. nil means
	// all that the client of this program has.
	Methods []string
}

func (o Options) methods() []string {
	if o.Methods != nil {
		return o.Methods
	}
	return append(saslMethods(), "user", "apop")
}

// builtin returns the built-in defaults, without those that depend on the
// environment.
func builtin() (Config, Account) {
	return Config{
			Interval:        Duration(5 * time.Minute),
			Parallel:        16,
			ParallelPerHost: 4,
		}, Account{
			Enabled:    true,
			Login:      builtinLogin(),
			MDATimeout: Duration(5 * time.Minute),
			Timeout:    Duration(60 * time.Second),
			MinRate:    128,
			Deadline:   Duration(time.Hour),
			Pipelining: PipeliningAuto,
			Received:   true,
		}
}
