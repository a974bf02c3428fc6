package discovery

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// Address is a mail address.
type Address struct {
	Local  string // in front of the @, as it was typed
	Domain string // in lower case, as DNS has it (RFC 5891)
}

func (a Address) String() string { return a.Local + "@" + a.Domain }

// ParseAddress reads an address, with blanks around it or not. The part in front of the @
// may be anything that a POP3 server takes as a user.
func ParseAddress(text string) (Address, error) {
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, "<"); ok {
		text = strings.TrimSuffix(rest, ">")
	}
	quoted := strconv.QuoteToGraphic(text)
	at := strings.LastIndexByte(text, '@')
	switch {
	case text == "":
		return Address{}, errors.New("the address is empty")
	case at < 0:
		return Address{}, fmt.Errorf("%s is not a mail address: it has no @", quoted)
	case at == 0:
		return Address{}, fmt.Errorf("%s is not a mail address: there is nothing before the @", quoted)
	case at == len(text)-1:
		return Address{}, fmt.Errorf("%s is not a mail address: there is nothing after the @", quoted)
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return Address{}, fmt.Errorf("%s is not a mail address: it has a blank or a control character", quoted)
	}
	domain, err := idna.Lookup.ToASCII(strings.TrimSuffix(text[at+1:], "."))
	if err == nil && len(domain) > 253 {
		err = errors.New("too long")
	}
	if _, noIP := netip.ParseAddr(domain); err != nil || noIP == nil || domain == "" || strings.HasPrefix(domain, ".") || strings.Contains(domain, "..") {
		return Address{}, fmt.Errorf("%s is not a mail address: %q is not a domain", quoted, text[at+1:])
	}
	return Address{text[:at], domain}, nil
}
