package config

import (
	"fmt"
	"strings"
)

// IMAP is the mailbox of another server that takes the mail of an account. The zero value
// is none.
type IMAP struct {
	Login
	Folder     string   `toml:"folder,name"`      // UTF-8, or a special use such as \Archive
	SpamFolder string   `toml:"spam_folder,name"` // for what the source's filter has marked; "" = Folder
	Flags      []string `toml:"flags,flags"`      // of each message, such as \Seen
}

// inbox is the folder that every server has. RFC 9051 section 5.1
const inbox = "INBOX"

// IsSet reports whether there is a mailbox.
func (i *IMAP) IsSet() bool { return i.Server != "" }

func (i *IMAP) login() *Login { return &i.Login }

func (i *IMAP) protocol() protocol {
	return protocol{
		key:     "imap",
		example: "imap.example.org",
		ports:   map[TLSMode]int{TLSImplicit: 993, TLSStart: 143, TLSNone: 143}, // RFC 9051 section 2.1
		scope:   "https://outlook.office.com/IMAP.AccessAsUser.All",
		methods: saslMethods(),
	}
}

func (i *IMAP) reset() { *i = IMAP{Login: builtinLogin(), Folder: inbox} }

func (i *IMAP) fill(account string) {
	i.Folder = fillAccount(i.Folder, account)
	i.SpamFolder = fillAccount(i.SpamFolder, account)
}

// specialUses are the special uses of RFC 6154 section 2 and RFC 8457 that a message can
// be filed by.
func specialUses() []string {
	return []string{`\Archive`, `\Drafts`, `\Flagged`, `\Important`, `\Junk`, `\Sent`, `\Trash`}
}

// folder checks the name of a folder. A name with a backslash in front is a special use.
func folder(name string) error {
	if !strings.HasPrefix(name, `\`) {
		return nil
	}
	for _, use := range specialUses() {
		if name == use {
			return nil
		}
	}
	return fmt.Errorf("%s is not a special use; those are %s%s", quote(name), orList(specialUses()), didYouMean(name, specialUses()))
}

// flags reads one flag or a list of them. RFC 9051 section 2.3.2
func flags(v any) ([]string, error) {
	list, err := oneOrMore("a flag or a list of flags", v)
	if err != nil {
		return nil, err
	}
	system := []string{`\Seen`, `\Answered`, `\Flagged`, `\Draft`}
	for _, f := range list {
		keyword := strings.TrimLeft(f, `\`)
		atom := keyword != "" && !strings.ContainsFunc(keyword, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`(){%*"\]`, r) })
		switch {
		case !atom:
			return nil, fmt.Errorf("%s is not a flag: it holds a character that no flag may have", quote(f))
		case strings.EqualFold(f, `\Deleted`):
			return nil, fmt.Errorf(`the flag \Deleted would have the message removed`)
		case strings.HasPrefix(f, `\`):
			known := false
			for _, s := range system {
				known = known || strings.EqualFold(f, s)
			}
			if !known {
				return nil, fmt.Errorf("%s is not a flag that a message can be given; those are %s, and keywords without a backslash%s", quote(f), orList(system), didYouMean(f, system))
			}
		}
	}
	return list, nil
}

// checkSelf notes an account whose destination is its own maildrop: it would fetch its own
// deliveries again, for ever.
func (l *loader) checkSelf(s *section) {
	if s.IMAP.IsSet() && s.IMAP.Host != "" && mailboxOf(&s.Login) == mailboxOf(&s.IMAP.Login) {
		l.add(append(s.path[:len(s.path):len(s.path)], "imap", "server"),
			fmt.Sprintf("%s at %s is the mailbox that the account fetches from: each message would be fetched again after it was delivered", quote(s.IMAP.User), s.IMAP.Host),
			"the destination has to be another mailbox")
	}
}

// checkCircles notes accounts that hand the same mail on to one another, for ever.
func checkCircles(accounts []owned) {
	fetches := make(map[[2]string]owned, len(accounts))
	for _, a := range accounts {
		fetches[mailboxOf(&a.Login)] = a
	}
	for _, a := range accounts {
		at := a
		for range accounts {
			next, ok := fetches[mailboxOf(&at.IMAP.Login)]
			if !ok || !at.IMAP.IsSet() {
				break
			}
			if at = next; at.Account == a.Account {
				a.in.add([]string{"account", a.Name, "imap", "server"},
					"the mail goes round: it is delivered to a mailbox that another account fetches from, and comes back here", "the destination has to be a mailbox from which nothing comes back")
				break
			}
		}
	}
}

// mailboxOf tells the mailbox that a login leads to from others, as far as names show it.
func mailboxOf(g *Login) [2]string { return [2]string{strings.ToLower(g.User), site(g.Host)} }

// site is a host name without the label that names the protocol: pop.example.org and
// imap.example.org have the same mailboxes.
func site(host string) string {
	first, rest, ok := strings.Cut(host, ".")
	if ok && strings.Contains(rest, ".") {
		switch first {
		case "pop", "pop3", "pops", "imap", "imap4", "imaps", "mail":
			return rest
		}
	}
	return host
}
