package httptask

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// dialTimeout is for how long each address of a host is tried.
const dialTimeout = 10 * time.Second

// egressError says that a request may not go where it leads.
type egressError struct{ err error }

func (e *egressError) Error() string { return e.err.Error() }
func (e *egressError) Unwrap() error { return e.err }

// dial connects to a host. It looks the host up itself and connects to the very
// addresses that it has checked: between a check and a second look-up a name may
// come to mean something else.
func (c *Caller) dial(ctx context.Context, network, at string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(at)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q: %w", portText, err)
	}
	port := uint16(n)
	addrs, err := c.lookUp(ctx, host)
	if err != nil {
		return nil, err
	}
	var denied, failed []error
	var d net.Dialer
	for _, addr := range addrs {
		if err := c.cfg.Rules.Allow(host, addr, port); err != nil {
			denied = append(denied, err)
			continue
		}
		one, cancel := context.WithTimeout(ctx, dialTimeout)
		conn, err := d.DialContext(one, network, netip.AddrPortFrom(addr, port).String())
		cancel()
		if err == nil {
			return conn, nil
		}
		failed = append(failed, err)
	}
	if len(failed) > 0 {
		return nil, errors.Join(failed...)
	}
	if len(denied) > 0 {
		return nil, &egressError{denied[0]}
	}
	return nil, fmt.Errorf("host %s has no address", host)
}

func (c *Caller) lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	// A host that no rule could allow is not looked up: queries tell something,
	// too.
	if err := c.cfg.Rules.mayName(host); err != nil {
		return nil, &egressError{err}
	}
	var resolver Resolver = net.DefaultResolver
	if c.cfg.Resolver != nil {
		resolver = c.cfg.Resolver
	}
	return resolver.LookupNetIP(ctx, "ip", host)
}
