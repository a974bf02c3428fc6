package config

import "fmt"

// SMTP is a mail server that takes the mail of an account. The zero value is none.
type SMTP struct{ Login }

// IsSet reports whether there is a server.
func (s *SMTP) IsSet() bool { return s.Server != "" }

func (s *SMTP) login() *Login { return &s.Login }

func (s *SMTP) protocol() protocol {
	return protocol{
		key:       "smtp",
		example:   "smtp.example.org",
		ports:     map[TLSMode]int{TLSImplicit: 465, TLSStart: 587, TLSNone: 25}, // RFC 8314 section 7.3, RFC 6409, RFC 5321
		scope:     "https://outlook.office.com/SMTP.Send",
		anonymous: true,
		methods:   saslMethods(),
	}
}

func (s *SMTP) reset() { *s = SMTP{Login: builtinLogin()} }

func (s *SMTP) fill(string) {}

// short reads a server that is written as a string: without TLS and without a login.
func (s *SMTP) short(server string) error {
	if server == "" {
		return fmt.Errorf("the string is empty; leave the key out to not set it")
	}
	s.reset()
	s.Server, s.TLS = server, TLSNone
	return nil
}
