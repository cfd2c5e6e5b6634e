package etcdstore

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
)

// Config says how to reach etcd and how much to ask of it.
type Config struct {
	// Endpoints are the client URLs of the members: "https://host:2379",
	// "http://host:2379", "unix:///path", or "host:2379", which means https if
	// any TLS file is named and http otherwise. At least one is needed.
	// by [Open].
	Endpoints []string
	// DialTimeout bounds each step of [Open]; zero means 5 s.
	DialTimeout time.Duration
	// RequestTimeout bounds each request of which the caller's context does not
	// end earlier; zero means 5 s.
	RequestTimeout time.Duration

	// CAFile has the certificates, in PEM, of the authorities that sign the
	// servers'; empty means those of the system.
	CAFile string
	// CertFile and KeyFile have this client's certificate and key, in PEM; both
	// or neither.
	CertFile, KeyFile string
	// ServerName is the name expected in the servers' certificates; empty means
	// the endpoint's host.
	ServerName string

	// Username and Password sign in to etcd; both or neither.
	Username, Password string

	// MaxOps is the most operations in a request, as etcd counts them; zero
	// means 128, which is etcd's --max-txn-ops unless it is set. What the server
	// refuses is found out in any case.
	MaxOps int
	// MaxBytes is about the most bytes of a request that commits share; zero
	// means 1 MiB. Etcd's --max-request-bytes is 1.5 MiB unless it is set. One
	// commit may be larger: it goes alone.
	MaxBytes int
	// InFlight is how many requests that write are under way at a time, at the
	// most; zero means 4. More than one are only while several commits wait,
	// more than two while many do.
	InFlight int

	// AllowOldServers makes [Open] warn of servers that it refuses otherwise;
	// see [OldServerError].
	AllowOldServers bool

	// Logger gets warnings about servers; nil means none.
	Logger hclog.Logger
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	for _, d := range []*time.Duration{&c.DialTimeout, &c.RequestTimeout} {
		if *d == 0 {
			*d = 5 * time.Second
		}
	}
	if c.MaxOps == 0 {
		c.MaxOps = 128
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 1 << 20
	}
	if c.InFlight == 0 {
		c.InFlight = 4
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	c.Endpoints = slices.Clone(c.Endpoints)
	return c
}

// validate returns all that is wrong with a config that has its defaults. It
// does not look at files.
func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{grapnel.ErrInvalid}, args...)...))
	}
	for _, e := range c.Endpoints {
		if err := checkEndpoint(e); err != nil {
			bad("endpoint %q: %v", e, err)
		}
	}
	if plain, secure := c.schemes("http:"), c.schemes("https:", "unixs:"); plain && secure {
		bad("endpoints with and without TLS")
	} else if plain && (c.CAFile != "" || c.CertFile != "" || c.ServerName != "") {
		bad("settings for TLS, and an http endpoint")
	}
	if c.DialTimeout < 0 {
		bad("dial time-out %v is negative", c.DialTimeout)
	}
	if c.RequestTimeout < 0 {
		bad("request time-out %v is negative", c.RequestTimeout)
	}
	if c.MaxOps < 0 {
		bad("%d operations per request", c.MaxOps)
	}
	if c.MaxBytes < 0 {
		bad("%d bytes per request", c.MaxBytes)
	}
	if c.InFlight < 0 {
		bad("%d requests in flight", c.InFlight)
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		bad("a client certificate needs both a certificate file and a key file")
	}
	if (c.Username == "") != (c.Password == "") {
		bad("signing in needs both a user name and a password")
	}
	return errors.Join(errs...)
}

func checkEndpoint(e string) error {
	if strings.HasPrefix(e, "unix:") || strings.HasPrefix(e, "unixs:") {
		return nil
	}
	host := e
	if strings.Contains(e, "://") {
		u, err := url.Parse(e)
		if err != nil {
			return errors.Unwrap(err)
		}
		if u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("scheme %q is not http, https, unix or unixs", u.Scheme)
		}
		if u.User != nil || u.Path != "" || u.RawQuery != "" {
			return errors.New("only a scheme, a host and a port are expected")
		}
		host = u.Host
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil || name == "" || port == "" {
		return errors.New("host:port is expected")
	}
	return nil
}

// schemes reports whether an endpoint begins with one of these.
func (c Config) schemes(prefixes ...string) bool {
	return slices.ContainsFunc(c.Endpoints, func(e string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(e, p) })
	})
}

// tlsConfig reads the TLS files. Errors name the file. It returns nil if TLS is
// not called for.
func (c Config) tlsConfig() (*tls.Config, error) {
	if !c.schemes("https:", "unixs:") && c.CAFile == "" && c.CertFile == "" && c.ServerName == "" {
		return nil, nil //nolint:nilnil // nil is what crypto/tls's users call "no TLS"
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	var errs []error
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		t.RootCAs = x509.NewCertPool()
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%w: CA file: %w", grapnel.ErrInvalid, err))
		case !t.RootCAs.AppendCertsFromPEM(pem):
			errs = append(errs, fmt.Errorf("%w: CA file %s: no certificate in it", grapnel.ErrInvalid, c.CAFile))
		}
	}
	if c.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("%w: client certificate %s with key %s: %w", grapnel.ErrInvalid, c.CertFile, c.KeyFile, err))
		}
		t.Certificates = []tls.Certificate{cert}
	}
	return t, errors.Join(errs...)
}
