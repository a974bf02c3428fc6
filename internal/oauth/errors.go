package oauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/oauth2"

	"popfetch/internal/config"
	"popfetch/internal/secret"
)

// failed makes an error for the user of one of the library. None of secrets appears in
// it, even if the provider repeats one.
func (g *Grant) failed(ctx context.Context, err error, secrets ...string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", g, context.Cause(ctx))
	}
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return g.refused(refused, secrets)
	}
	var request *url.Error
	if errors.As(err, &request) {
		return g.unreachable(request)
	}
	// The reply was not what RFC 6749 section 5.1 demands. The text may hold some of it.
	return g.temporary("the provider's reply is not one that RFC 6749 knows", nil)
}

// unreachable is the error for a request without a reply. It does not show that of
// net/http, whose URL says nothing new.
func (g *Grant) unreachable(request *url.Error) error {
	var invalid x509.CertificateInvalidError
	untrusted := errors.As(request, new(*tls.CertificateVerificationError))
	what := fmt.Sprintf("the provider at %s does not answer", host(request.URL))
	if untrusted {
		what = fmt.Sprintf("the connection to the provider at %s cannot be secured", host(request.URL))
	}
	e := g.temporary(fmt.Sprintf("%s: %v", what, request.Err), request)
	switch {
	case errors.As(request, &invalid) && invalid.Reason == x509.Expired:
		e.Hint = "is the clock of this machine right? It shows " + g.now().Local().Format("2006-01-02 15:04")
	case untrusted:
		e.Hint = "something between this machine and the provider may pose as it, such as a proxy that looks into TLS"
	case errors.Is(request, syscall.ECONNREFUSED), errors.As(request, new(*net.DNSError)):
		e.Hint = "is the network up, and is the address in oauth right? A token that is still valid is used meanwhile"
	}
	return e
}

// refused translates an error reply of the provider. RFC 6749 section 5.2, RFC 8628
// section 3.5
func (g *Grant) refused(e *oauth2.RetrieveError, secrets []string) error {
	said := "HTTP status " + strconv.Itoa(e.Response.StatusCode)
	if e.ErrorCode != "" {
		said = strconv.Quote(conceal(e.ErrorCode, secrets))
		if e.ErrorDescription != "" {
			said += ": " + strconv.Quote(conceal(e.ErrorDescription, secrets))
		}
	}
	switch e.ErrorCode {
	case "invalid_grant", "interaction_required", "consent_required", "login_required":
		return g.again("the provider does not accept the sign-in any more ("+said+")", e)
	case "access_denied":
		return g.again("the sign-in was refused ("+said+")", e)
	case "expired_token":
		return g.again("nobody has signed in within the time that the provider gives ("+said+")", e)
	case "invalid_client", "unauthorized_client", "invalid_scope", "unsupported_grant_type", "invalid_request":
		settings := "client_id, client_secret"
		if g.name == config.Microsoft {
			settings = "client_id, tenant"
		}
		return &secret.Error{Kind: secret.Token, Source: g.String(), Msg: "the provider does not accept the client (" + said + ")", Err: e,
			Hint: "check " + settings + " and the settings of the client at the provider, see popfetch-oauth(7)"}
	}
	if e.Response.StatusCode >= http.StatusInternalServerError || e.Response.StatusCode == http.StatusTooManyRequests {
		return g.temporary("the provider cannot serve the request now ("+said+")", e)
	}
	return g.temporary("the provider has refused the request ("+said+")", e)
}

// again is an error that a new sign-in mends.
func (g *Grant) again(msg string, err error) *secret.Error {
	return &secret.Error{Kind: secret.Token, Source: g.String(), Msg: msg, Hint: "run popfetch authorize " + g.account, Refused: true, Err: err}
}

// unsigned is the error for an account that has not signed in, or not as it is now.
func (g *Grant) unsigned(msg string, err error) *secret.Error {
	return &secret.Error{Kind: secret.Token, Source: g.String(), Msg: msg, Hint: "run popfetch authorize " + g.account, Err: err}
}

func (g *Grant) temporary(msg string, err error) *secret.Error {
	return &secret.Error{Kind: secret.Token, Source: g.String(), Msg: msg, Retry: true, Err: err}
}

// host returns the host of a URL.
func host(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "its address"
	}
	return u.Host
}

const (
	maxDescription = 300 // octets of a provider's words that a message shows
	tellingRun     = 6   // octets of a secret in a row that give it away
)

// conceal returns what may be shown of a provider's words: "***" if they hold a part of a
// secret.
func conceal(text string, secrets []string) string {
	lower := strings.ToLower(text)
	for _, s := range secrets {
		s = strings.ToLower(s)
		n := min(len(s), tellingRun)
		for i := 0; n > 0 && i+n <= len(s); i++ {
			if strings.Contains(lower, s[i:i+n]) {
				return "***"
			}
		}
	}
	if len(text) > maxDescription {
		text = strings.ToValidUTF8(text[:maxDescription], "") + "..."
	}
	return text
}
