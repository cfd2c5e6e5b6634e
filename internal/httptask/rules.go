package httptask

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/grapnel-dev/grapnel"
)

// Rules say where requests may go. The zero Rules are nowhere.
type Rules struct {
	names []nameRule
	nets  []netRule
}

// nameRule allows hosts at public addresses.
type nameRule struct {
	name string // "" stands for all
	sub  bool   // the hosts below name, rather than name
	port uint16 // 0 stands for all
}

// netRule allows addresses.
type netRule struct {
	prefix netip.Prefix
	port   uint16 // 0 stands for all
}

// ParseRules reads rules, each a host (api.example.com), the hosts below a domain
// (*.example.com), all hosts (*), an address (127.0.0.1, [::1]) or a CIDR
// (10.0.0.0/8, 2001:db8::/32). A colon and a port may follow, which an IPv6
// address or CIDR then precedes in brackets. The error joins everything that is
// wrong, and wraps [grapnel.ErrInvalid].
func ParseRules(texts []string) (Rules, error) {
	var r Rules
	var errs []error
	for _, text := range texts {
		if err := r.add(text); err != nil {
			errs = append(errs, fmt.Errorf("%w: %q allows nothing: %w", grapnel.ErrInvalid, text, err))
		}
	}
	return r, errors.Join(errs...)
}

func (r *Rules) add(text string) error {
	host, port, err := splitRule(strings.ToLower(strings.TrimSpace(text)))
	if err != nil {
		return err
	}
	if prefix, ok, err := parsePrefix(host); err != nil || ok {
		r.nets = append(r.nets, netRule{prefix, port})
		return err
	}
	if host == "*" {
		r.names = append(r.names, nameRule{port: port})
		return nil
	}
	name, sub := strings.CutPrefix(strings.TrimSuffix(host, "."), "*.")
	if err := checkName(name); err != nil {
		return err
	}
	r.names = append(r.names, nameRule{name: name, sub: sub, port: port})
	return nil
}

// splitRule takes the port off a rule.
func splitRule(text string) (host string, port uint16, err error) {
	host = text
	portText := ""
	if rest, ok := strings.CutPrefix(text, "["); ok {
		var after string
		if host, after, ok = strings.Cut(rest, "]"); !ok {
			return "", 0, errors.New("a bracket is not closed")
		}
		if after != "" {
			if portText, ok = strings.CutPrefix(after, ":"); !ok {
				return "", 0, errors.New("what follows a bracket is no port")
			}
		}
	} else if strings.Count(text, ":") == 1 {
		host, portText, _ = strings.Cut(text, ":")
	}
	if portText == "" {
		if strings.HasSuffix(text, ":") && host != text {
			return "", 0, errors.New("the port is missing")
		}
		return host, 0, nil
	}
	n, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q is no port", portText)
	}
	return host, uint16(n), nil
}

// parsePrefix reads an address or CIDR; ok is false for what is meant as a name.
func parsePrefix(host string) (p netip.Prefix, ok bool, err error) {
	if strings.Contains(host, "/") {
		p, err = netip.ParsePrefix(host)
		if err == nil && p.Masked() != p {
			err = fmt.Errorf("the address has bits beyond its prefix; %v is meant", p.Masked())
		}
		if err == nil && p.Addr().Is4In6() {
			err = errors.New("write it as IPv4")
		}
		return p, true, err
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}, false, nil //nolint:nilerr // then it is a name
	}
	addr = addr.Unmap()
	if addr.Zone() != "" {
		return netip.Prefix{}, true, errors.New("a zone is of no use")
	}
	return netip.PrefixFrom(addr, addr.BitLen()), true, nil
}

func checkName(name string) error {
	if name == "" || len(name) > 253 {
		return errors.New("it is neither a host nor an address")
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return errors.New("it is neither a host nor an address; write hosts with other letters in their xn-- form")
		}
	}
	return nil
}

// Empty reports whether nothing is allowed.
func (r Rules) Empty() bool { return len(r.names) == 0 && len(r.nets) == 0 }

// Allow reports whether a request to a host of this name, or address, may go to
// this address; the error says why it may not.
func (r Rules) Allow(host string, addr netip.Addr, port uint16) error {
	addr = addr.Unmap().WithZone("")
	for _, n := range r.nets {
		if (n.port == 0 || n.port == port) && n.prefix.Contains(addr) {
			return nil
		}
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	named := false
	for _, n := range r.names {
		named = named || (n.port == 0 || n.port == port) && n.matches(host)
	}
	switch {
	case !named:
		return fmt.Errorf("this worker does not let requests go to %s", hostPort(host, port))
	case !isPublic(addr):
		return fmt.Errorf("%s is at %v, which is not a public address; a worker lets requests go there if it allows the address itself", host, addr)
	}
	return nil
}

func (n nameRule) matches(host string) bool {
	switch {
	case n.name == "":
		return true
	case n.sub:
		return strings.HasSuffix(host, "."+n.name)
	}
	return host == n.name
}

func hostPort(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(port))
}

// special are the address blocks, besides those that package netip knows, that
// lead elsewhere than into the public Internet: RFC 6890 and those after it.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	"5f00::/16", "fec0::/10",
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// isPublic reports whether an address is one of the public Internet.
func isPublic(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// mayName returns an error if requests to a host of this name cannot be allowed
// whatever its address is.
func (r Rules) mayName(host string) error {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if len(r.nets) > 0 {
		return nil
	}
	for _, n := range r.names {
		if n.matches(host) {
			return nil
		}
	}
	return fmt.Errorf("this worker does not let requests go to %s", host)
}
