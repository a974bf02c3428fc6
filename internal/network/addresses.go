package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stagger is how long one address may be silent before the next one is tried beside it.
// RFC 8305 section 5
const stagger = 250 * time.Millisecond

var (
	errSilent   = errors.New("no answer")
	errNoFamily = errors.New("no address of the family of source_address")
)

// addressesError is a host of which no address could be connected to.
type addressesError struct{ attempts []Attempt }

// Error lists the addresses with their reasons.
func (e *addressesError) Error() string {
	texts := make([]string, len(e.attempts))
	for i, a := range e.attempts {
		texts[i] = a.String()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the reasons.
func (e *addressesError) Unwrap() []error {
	errs := make([]error, len(e.attempts))
	for i, a := range e.attempts {
		errs[i] = a.Err
	}
	return errs
}

// dialHost connects to the first address of a host that answers. It tries them one after
// the other, IPv6 and IPv4 in turn, and does not wait for one that is silent (RFC 8305).
// It returns also the addresses that had been tried in vain by then.
func (w *Way) dialHost(ctx context.Context, address string) (net.Conn, []Attempt, error) {
	addresses, err := w.resolve(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	attempts, conn := w.race(ctx, addresses)
	if conn != nil {
		return conn, attempts, nil
	}
	if len(attempts) == 1 && !isTimeout(attempts[0].Err) && attempts[0].Address.String() == address {
		return nil, nil, attempts[0].Err
	}
	return nil, nil, &addressesError{attempts}
}

// resolve returns the addresses of host:port in the order in which to try them.
func (w *Way) resolve(ctx context.Context, address string) ([]netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%q is not a port", portText)
	}
	all := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		all = append(all, ip)
	} else if all, err = cmp.Or(w.Resolver, net.DefaultResolver).LookupNetIP(ctx, "ip", host); err != nil {
		return nil, err
	}
	var families [2][]netip.AddrPort // that of the first address, and the other
	for _, ip := range all {
		ip = ip.Unmap()
		if w.Source.IsValid() && ip.Is4() != w.Source.Unmap().Is4() {
			continue
		}
		i := 0
		if len(families[0]) > 0 && families[0][0].Addr().Is4() != ip.Is4() {
			i = 1
		}
		families[i] = append(families[i], netip.AddrPortFrom(ip, uint16(port)))
	}
	if len(families[0]) == 0 {
		return nil, &Error{What: "lookup " + host, Lasting: true, Err: errNoFamily, Hint: "source_address is IPv6 or IPv4, and the server has only addresses of the other kind"}
	}
	// RFC 8305 section 4
	var order []netip.AddrPort
	for i := range max(len(families[0]), len(families[1])) {
		for _, f := range families {
			if i < len(f) {
				order = append(order, f[i])
			}
		}
	}
	return order, nil
}

// race connects to the first address that answers. Without a connection it returns what
// was wrong with each address, and otherwise with those that were no faster.
func (w *Way) race(ctx context.Context, addresses []netip.AddrPort) ([]Attempt, net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		i    int
		conn net.Conn
		err  error
	}
	results := make(chan result)
	errs := make([]error, len(addresses))
	begun, pending := 0, 0
	begin := func() {
		i := begun
		begun, pending = begun+1, pending+1
		errs[i] = errSilent
		go func() {
			conn, err := w.dialAddress(ctx, addresses[i])
			results <- result{i, conn, err}
		}()
	}
	attempts := func(but int) (list []Attempt) {
		for i := range begun {
			if i != but {
				list = append(list, Attempt{addresses[i], errs[i]})
			}
		}
		return list
	}
	begin()
	next := time.NewTicker(stagger)
	defer next.Stop()
	for {
		select {
		case r := <-results:
			pending--
			if r.err == nil {
				cancel()
				go func(pending int) { // those that connect all the same
					for range pending {
						if late := <-results; late.conn != nil {
							late.conn.Close()
						}
					}
				}(pending)
				return attempts(r.i), r.conn
			}
			if errs[r.i] = reason(r.err); ctx.Err() == nil && begun < len(addresses) {
				next.Reset(stagger)
				begin()
			} else if pending == 0 {
				return attempts(-1), nil
			}
		case <-next.C:
			if begun < len(addresses) && ctx.Err() == nil {
				begin()
			}
		}
	}
}

// dialAddress connects to one address.
func (w *Way) dialAddress(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
	d := new(net.Dialer)
	if w.Source.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: w.Source.AsSlice(), Zone: w.Source.Zone()}
	}
	return d.DialContext(ctx, "tcp", address.String())
}

// reason takes the address off an error of package net.
func reason(err error) error {
	var op *net.OpError
	var call *os.SyscallError
	switch {
	case isTimeout(err), errors.Is(err, context.Canceled):
		return errSilent
	case errors.As(err, &call) && call.Syscall == "bind":
		return fmt.Errorf("source_address: %w", call.Err)
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &op):
		return op.Err
	}
	return err
}

// Unrouted reports whether an attempt failed only because this machine has no address or
// no route of the family, as one without IPv6.
func (a Attempt) Unrouted() bool {
	return errors.Is(a.Err, syscall.ENETUNREACH) || errors.Is(a.Err, syscall.EADDRNOTAVAIL) || errors.Is(a.Err, syscall.EAFNOSUPPORT)
}
