package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Patience is how long an owner may be silent.
const Patience = 5 * time.Second

// mostAnswer is the size of the longest answer that is read as a whole, in octets.
const mostAnswer = 1 << 20

// Client asks the owner of a state file.
type Client struct {
	Owner Info
	http  *http.Client
}

// Dial connects to the owner of a state file. It returns ErrNobody if nobody serves the
// socket, ErrSilent if the owner does not answer within Patience, or a *VersionError. The
// caller closes the client.
func Dial(ctx context.Context, state string) (*Client, error) { return dial(ctx, state, Patience) }

func dial(ctx context.Context, state string, patience time.Duration) (*Client, error) {
	return dialThrough(ctx, func(ctx context.Context) (net.Conn, error) {
		c, err := connect(ctx, state, patience)
		if err != nil {
			return nil, err
		}
		return &impatient{c, patience}, nil
	})
}

// dialThrough is Dial with another way to connect.
func dialThrough(ctx context.Context, connect func(context.Context) (net.Conn, error)) (*Client, error) {
	c := &Client{http: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return connect(ctx) },
	}}}
	response, err := c.send(ctx, http.MethodGet, "/owner", nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(io.LimitReader(response.Body, mostAnswer)).Decode(&c.Owner); err != nil {
		return nil, answerError(ctx, err)
	}
	return c, nil
}

// connect connects to the socket, and makes sure that an owner of this user or of root
// serves it.
func connect(ctx context.Context, state string, patience time.Duration) (net.Conn, error) {
	p, err := placeOf(state)
	if err != nil {
		return nil, errors.Join(ErrNobody, err)
	}
	defer p.close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "unix", p.address)
	switch {
	case err != nil:
		return nil, err
	case !trusted(c.(*net.UnixConn)):
		c.Close()
		return nil, fmt.Errorf("%w: a process of another user does", ErrNobody)
	}
	return c, nil
}

// impatient is a connection on which no call may take longer than limit.
type impatient struct {
	net.Conn
	limit time.Duration
}

func (c *impatient) Read(p []byte) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(c.limit))
	return c.Conn.Read(p)
}

func (c *impatient) Write(p []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(c.limit))
	return c.Conn.Write(p)
}

func (c *Client) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://popfetch"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set(protocolHeader, strconv.Itoa(Protocol))
	response, err := c.http.Do(request)
	if err != nil {
		return nil, answerError(ctx, err)
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		var why Reason
		if err := json.NewDecoder(io.LimitReader(response.Body, mostAnswer)).Decode(&why); err != nil || why.Text == "" {
			why.Text = "it answers " + response.Status
		}
		return nil, &VersionError{Owner: c.Owner, Said: why.Text}
	}
	return response, nil
}

// answerError returns what the failure of a connection means: an owner that ends closes it,
// and so does one that has too many clients.
func answerError(ctx context.Context, err error) error {
	var timeout net.Error
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrNobody):
		return err
	case errors.As(err, &timeout) && timeout.Timeout():
		return ErrSilent
	}
	return errors.Join(ErrNobody, err)
}

// Do asks the owner and calls answer with each answer, in the goroutine of the caller.
// It returns a *Refusal if the owner
// does not do what r asks for, a *VersionError if it does not know it, ErrSilent if it
// hangs, and ErrNobody if it ends before it has done everything. An owner that cannot be
// watched is not.
func (c *Client) Do(ctx context.Context, r Request, answer func(Answer)) error {
	if !slices.Contains(c.Owner.Features, featureWatch) {
		r.Watch = nil
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	response, err := c.send(ctx, http.MethodPost, "/do", body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	for lines := json.NewDecoder(response.Body); ; {
		var l line
		if err := lines.Decode(&l); err != nil {
			return answerError(ctx, err)
		}
		switch {
		case l.Answer != nil:
			answer(*l.Answer)
		case l.End != nil && l.End.Refused != nil:
			return &Refusal{*l.End.Refused}
		case l.End != nil:
			return nil
		}
	}
}

// Close frees the client.
func (c *Client) Close() { c.http.CloseIdleConnections() }
