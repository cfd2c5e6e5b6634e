package cli

import (
	"context"
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

	settings *Settings
}

// Register adds the flags of a connection. Logs at level and above are written
// unless the user says otherwise.
func (c *Connection) Register(fs *pflag.FlagSet, level string) {
	fs.String(configFlag, "", "`file` with settings; the default is grapnel/config.yaml in your folder of settings, such as ~/.config, if it is there")
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
	AsSettings(fs, "", "endpoints", "namespace", "cacert", "cert", "key", "user", "password", "password-file", "dial-timeout", "log-level")
}

// Prepare takes the settings among fs that the command line left open from the
// environment and from a file, and returns a logger that writes to out. Errors
// wrap [grapnel.ErrInvalid].
func (c *Connection) Prepare(fs *pflag.FlagSet, name string, out io.Writer) (hclog.Logger, error) {
	found, err := loadSettings(fs, os.Environ(), UserSettingsFile())
	if err != nil {
		return nil, err
	}
	c.settings = found
	level := hclog.LevelFromString(c.LogLevel)
	if level == hclog.NoLevel {
		return nil, fmt.Errorf("%w: --log-level %q; one of trace, debug, info, warn, error, off", grapnel.ErrInvalid, c.LogLevel)
	}
	return hclog.New(&hclog.LoggerOptions{Name: name, Level: level, Output: out}), nil
}

// Settings returns the settings that Prepare found, or nil before.
func (c *Connection) Settings() *Settings { return c.settings }

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
