// Package config turns config.toml into validated plain data.
//
// Load reports all problems of a file at once, each with its line; only a syntax
// error ends it, since nothing behind one can be read. What Load returns needs no
// further checks: defaults are applied, paths are absolute, accounts are in the
// order of the file. It looks up no password and runs no program: an Account
// names the source of its password, and package secret resolves that.
package config

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// Config is one config.toml. Nothing in this package changes it after Load.
//
// The toml tags of Config and Account are the complete list of keys. The word
// after the comma is what is done with a text: a "path" is expanded and made
// absolute; so is a "template", which may contain {account}; in an "argv" the
// program is expanded; a "name" may contain {account}; "words" and "scopes" are one or a list.
type Config struct {
	File string `toml:"-"` // path of the file, as given to Load

	Interval        Duration `toml:"interval"`          // time between two polls of an account
	Parallel        int      `toml:"parallel"`          // accounts polled at once
	ParallelPerHost int      `toml:"parallel_per_host"` // of these, at one server
	State           string   `toml:"state,path"`        // the state file
	OnNewMail       []string `toml:"on_new_mail,argv"`  // run after a round that delivered something; nil = none

	Accounts []*Account `toml:"-"` // in the order of the file, disabled ones included
	Warnings []string   `toml:"-"` // what is allowed but probably not intended, a sentence each
}

// Account is one [account.NAME] with [defaults] and the built-in defaults
// applied.
type Account struct {
	Name string `toml:"-"` // letters, digits and . _ - + @, safe as part of a path
	Host string `toml:"-"` // of Server: lower case, no port, no brackets
	Port int    `toml:"-"` // of Server, or the usual one of TLS

	Enabled bool   `toml:"enabled"` // false: only commands that name the account use it
	Server  string `toml:"server"`  // as written
	User    string `toml:"user"`    // not empty, no control characters

	// Where the secret comes from: at most one of these is set. With none of them
	// it is looked up in netrc, then asked for on the terminal.
	PasswordText    Secret   `toml:"password"`
	PasswordFile    string   `toml:"password_file,template"`
	PasswordCommand []string `toml:"password_command,argv"`
	Credential      string   `toml:"credential,name"`    // file name below $CREDENTIALS_DIRECTORY
	Keyring         bool     `toml:"keyring"`            // the keyring of the desktop
	TokenCommand    []string `toml:"token_command,argv"` // prints an OAuth 2.0 access token
	OAuth           OAuth    `toml:"oauth"`              // where popfetch itself signs in

	// The client that is registered with the provider of OAuth.
	ClientID            string   `toml:"client_id"` // set if OAuth is
	ClientSecret        Secret   `toml:"client_secret"`
	ClientSecretCommand []string `toml:"client_secret_command,argv"`

	TLS             TLSMode       `toml:"tls"`
	TLSCAFile       string        `toml:"tls_ca_file,path"`     // "" = the system's
	TLSFingerprints []Fingerprint `toml:"tls_fingerprint"`      // any of them instead of the CA check; nil = CA check
	TLSServerName   string        `toml:"tls_server_name"`      // "" = Host
	TLSMinVersion   TLSVersion    `toml:"tls_min_version"`      // a version of crypto/tls
	TLSClientCert   string        `toml:"tls_client_cert,path"` // PEM file; set if and only if TLSClientKey is
	TLSClientKey    string        `toml:"tls_client_key,path"`  // PEM file
	Auth            []string      `toml:"auth,words"`           // in order of preference; nil = auto

	// Exactly one of the three is set.
	Maildir string   `toml:"maildir,template"`
	MDA     []string `toml:"mda,argv"` // arguments with their placeholders
	LMTP    LMTP     `toml:"lmtp"`

	Recipient string `toml:"recipient,name"` // for LMTP; User if it is not written

	MDATimeout    Duration   `toml:"mda_timeout"`    // one run of the MDA
	Keep          Keep       `toml:"keep"`           // what becomes of delivered messages on the server
	MaxSize       Size       `toml:"max_size"`       // octets; 0 = no limit
	MaxMessages   int        `toml:"max_messages"`   // fetched in one poll; 0 = no limit
	Interval      Duration   `toml:"interval"`       // this account's, or that of Config
	Timeout       Duration   `toml:"timeout"`        // one reply, or 1 KiB of a body
	MinRate       Size       `toml:"min_rate"`       // octets a second that a server has to send; 0 = any
	Deadline      Duration   `toml:"deadline"`       // one poll as a whole
	Pipelining    Pipelining `toml:"pipelining"`     // whether commands are sent before the previous reply has come
	Received      bool       `toml:"received"`       // add a Received field to each message
	SourceAddress netip.Addr `toml:"source_address"` // local address of the connection; zero = the system's choice
	Proxy         Proxy      `toml:"proxy"`          // SOCKS5
}

// Address returns host and port for net.Dial.
func (a *Account) Address() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// bearerMethods are the methods that send an access token and no password.
func bearerMethods() []string { return []string{"xoauth2", "oauthbearer"} }

// YieldsToken reports whether the source of the secret can only yield an access token.
func (a *Account) YieldsToken() bool { return len(a.TokenCommand) > 0 || a.OAuth.IsSet() }

// TakesToken reports whether the key auth names a method that sends an access token. A
// secret that the configuration calls a password is taken for the token then.
func (a *Account) TakesToken() bool {
	return slices.ContainsFunc(a.Auth, func(m string) bool { return slices.Contains(bearerMethods(), m) })
}

// TakesPassword reports whether a method that sends or proves a password may be used.
func (a *Account) TakesPassword() bool {
	return a.Auth == nil || slices.ContainsFunc(a.Auth, func(m string) bool { return m != External && m != GSSAPI && !slices.Contains(bearerMethods(), m) })
}

// The methods that need no password and no token: External takes the client's
// certificate, GSSAPI a Kerberos ticket.
const (
	External = "external"
	GSSAPI   = "gssapi"
)

// NeedsSecret reports whether the login may need a password or a token.
func (a *Account) NeedsSecret() bool { return a.TakesPassword() || a.TakesToken() }

// Options is what Load must know about the other parts of the program. The zero
// value is valid.
type Options struct {
	// CheckMDA returns what is wrong with an mda command, such as an unknown
	// placeholder, or nil. A nil CheckMDA accepts every command.
	CheckMDA func(argv []string) error
	// CheckRecipient returns what is wrong with the recipient of an account with LMTP, ""
	// for nothing. A nil CheckRecipient accepts every recipient.
	CheckRecipient func(address string) string
	// Methods are the names that the key auth accepts, in lower case. nil means
	// all that the client of this program has.
	Methods []string
}

func (o Options) methods() []string {
	if o.Methods != nil {
		return o.Methods
	}
	return append([]string{"plain", "login", "user", "cram-md5", "apop"}, append(bearerMethods(),
		External, GSSAPI, "scram-sha-1", "scram-sha-256", "scram-sha-1-plus", "scram-sha-256-plus")...)
}

// builtin returns the built-in defaults, without those that depend on the
// environment.
func builtin() (Config, Account) {
	return Config{
			Interval:        Duration(5 * time.Minute),
			Parallel:        16,
			ParallelPerHost: 4,
		}, Account{
			Enabled:       true,
			TLS:           TLSImplicit,
			TLSMinVersion: TLS12,
			MDATimeout:    Duration(5 * time.Minute),
			Timeout:       Duration(60 * time.Second),
			MinRate:       128,
			Deadline:      Duration(time.Hour),
			Pipelining:    PipeliningAuto,
			Received:      true,
		}
}
