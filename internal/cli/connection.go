package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store/etcdstore"
)

// Defaults of connection flags.
const (
	DefaultEndpoint    = "127.0.0.1:2379"
	DefaultNamespace   = "default"
	DefaultDialTimeout = 5 * time.Second
	DefaultLogLevel    = "warn"
)

// Connection is how a command reaches etcd, and how it logs.
type Connection struct {
	Endpoints    []string
	Namespace    string
	CACert       string
	Cert         string
	Key          string
	User         string
	Password     string
	PasswordFile string
	DialTimeout  time.Duration
	LogLevel     string
}

// Register adds the flags of a connection. Logs at level and above are written
// unless the user says otherwise.
func (c *Connection) Register(fs *pflag.FlagSet, level string) {
	fs.StringSliceVar(&c.Endpoints, "endpoints", []string{DefaultEndpoint}, "etcd's client addresses, separated by commas")
	fs.StringVar(&c.Namespace, "namespace", DefaultNamespace, "whose runs to work with")
	fs.StringVar(&c.CACert, "cacert", "", "`file` with the PEM certificates of the authorities that vouch for etcd")
	fs.StringVar(&c.Cert, "cert", "", "`file` with this client's PEM certificate")
	fs.StringVar(&c.Key, "key", "", "`file` with the certificate's PEM key")
	fs.StringVar(&c.User, "user", "", "etcd user")
	fs.StringVar(&c.Password, "password", "", "the user's password; others on this machine may see flags, so rather use --password-file or GRAPNEL_PASSWORD")
	fs.StringVar(&c.PasswordFile, "password-file", "", "`file` whose first line is the user's password")
	fs.DurationVar(&c.DialTimeout, "dial-timeout", DefaultDialTimeout, "how long to try to reach etcd")
	fs.StringVar(&c.LogLevel, "log-level", level, "what to log to standard error: trace, debug, info, warn, error or off")
}

// Prepare takes settings from the environment that the command line fs left
// open, and returns a logger that writes to out. Errors wrap
// [grapnel.ErrInvalid].
func (c *Connection) Prepare(fs *pflag.FlagSet, name string, out io.Writer) (hclog.Logger, error) {
	if err := fromEnvironment(fs, os.LookupEnv); err != nil {
		return nil, err
	}
	level := hclog.LevelFromString(c.LogLevel)
	if level == hclog.NoLevel {
		return nil, fmt.Errorf("%w: --log-level %q; one of trace, debug, info, warn, error, off", grapnel.ErrInvalid, c.LogLevel)
	}
	return hclog.New(&hclog.LoggerOptions{Name: name, Level: level, Output: out}), nil
}

// fromEnvironment sets those flags of a connection that the command line left
// alone from their environment variables, as far as these are not empty.
func fromEnvironment(fs *pflag.FlagSet, lookup func(name string) (string, bool)) error {
	var errs []error
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&Connection{}).Register(own, DefaultLogLevel)
	own.VisitAll(func(f *pflag.Flag) {
		name := variable(f.Name)
		value, ok := lookup(name)
		if !ok || value == "" || fs.Changed(f.Name) || fs.Lookup(f.Name) == nil {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("%w: environment variable %s: %w", grapnel.ErrInvalid, name, err))
		}
	})
	return errors.Join(errs...)
}

func variable(flag string) string {
	return "GRAPNEL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Open connects to etcd. It fails within DialTimeout if etcd cannot be reached.
// The caller closes the store.
func (c *Connection) Open(ctx context.Context, log hclog.Logger) (*etcdstore.Store, error) {
	cfg, err := c.config(log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.DialTimeout, fmt.Errorf("%w: no answer within --dial-timeout %v", grapnel.ErrUnavailable, c.DialTimeout))
	defer cancel()
	st, err := etcdstore.Open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to etcd at %s: %w", strings.Join(c.Endpoints, ","), err)
	}
	return st, nil
}

func (c *Connection) config(log hclog.Logger) (etcdstore.Config, error) {
	if err := grapnel.ValidateNamespace(c.Namespace); err != nil {
		return etcdstore.Config{}, fmt.Errorf("--namespace: %w", err)
	}
	if c.DialTimeout <= 0 {
		return etcdstore.Config{}, fmt.Errorf("%w: --dial-timeout %v is not positive", grapnel.ErrInvalid, c.DialTimeout)
	}
	password, err := c.password()
	if err != nil {
		return etcdstore.Config{}, err
	}
	return etcdstore.Config{
		Endpoints: c.Endpoints, DialTimeout: c.DialTimeout,
		CAFile: c.CACert, CertFile: c.Cert, KeyFile: c.Key,
		Username: c.User, Password: password, Logger: log,
	}, nil
}

func (c *Connection) password() (string, error) {
	switch {
	case c.PasswordFile == "":
		return c.Password, nil
	case c.Password != "":
		return "", fmt.Errorf("%w: --password and --password-file are both given", grapnel.ErrInvalid)
	}
	data, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("%w: --password-file: %w", grapnel.ErrInvalid, err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}
