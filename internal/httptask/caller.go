package httptask

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/secret"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Limits of requests and responses.
const (
	MaxRedirects   = 10
	MaxHeaderBytes = 32 << 10
)

// Resolver looks up the addresses of hosts, as [net.Resolver] does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config configures a [Caller].
type Config struct {
	// Rules say where requests may go; zero is nowhere.
	Rules Rules
	// Secrets says which secrets requests may carry; zero is none.
	Secrets secret.Policy
	// Resolver finds hosts; nil means the system's way.
	Resolver Resolver
	// TLS is for connections over TLS; nil means the system's authorities.
	TLS *tls.Config
	// Logger is named "http"; nil means none.
	Logger hclog.Logger
}

// Caller makes requests. It is safe for concurrent use.
type Caller struct {
	cfg       Config
	log       hclog.Logger
	transport *http.Transport
}

// New returns a caller. It does no I/O. Errors wrap [grapnel.ErrInvalid].
func New(cfg Config) (*Caller, error) {
	if err := cfg.Secrets.Check(); err != nil {
		return nil, fmt.Errorf("allow HTTP requests: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	c := &Caller{cfg: cfg, log: cfg.Logger.Named("http")}
	c.transport = &http.Transport{
		Proxy:                  nil, // a proxy would go where we may not
		DialContext:            c.dial,
		TLSClientConfig:        cfg.TLS.Clone(),
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    dialTimeout,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: MaxHeaderBytes,
	}
	return c, nil
}

// Close closes connections that are not in use.
func (c *Caller) Close() { c.transport.CloseIdleConnections() }

// Do makes a request and returns the response if its status is expected. Errors
// are failures, see package workflow, in which the values of secrets are
// replaced.
func (c *Caller) Do(ctx context.Context, in Input) (Output, error) {
	if err := in.Check(); err != nil {
		return Output{}, task.Fail(workflow.KindBadInput, err)
	}
	header, values, err := c.secrets(&in)
	if err != nil {
		return Output{}, err
	}
	redact := secret.NewRedactor(values...)
	out, err := c.do(ctx, &in, header, redact)
	if err != nil {
		f := workflow.FailureOf(err)
		f.Message = redact.Text(f.Message)
		return Output{}, f
	}
	return out, nil
}

// secrets resolves the headers that are secrets.
func (c *Caller) secrets(in *Input) (http.Header, []string, error) {
	header, values := http.Header{}, []string{}
	plain := http.Header{}
	for name, v := range in.Headers {
		plain.Set(name, v)
	}
	for name, s := range in.Secrets {
		value, err := c.cfg.Secrets.Resolve(s)
		if err == nil {
			err = checkHeader(name, value)
		}
		if err != nil {
			return nil, nil, task.Fail(KindSecret, fmt.Errorf("header %s: %w", name, err))
		}
		header.Set(name, plain.Get(name)+value)
		values = append(values, value)
	}
	return header, values, nil
}

func (c *Caller) do(ctx context.Context, in *Input, secrets http.Header, redact *secret.Redactor) (Output, error) {
	req, err := request(ctx, in, secrets)
	if err != nil {
		return Output{}, err
	}
	client := &http.Client{
		Transport: c.transport,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			return redirected(in, secrets, req, via)
		},
	}
	what := req.Method + " " + shown(req.URL)
	resp, err := client.Do(req)
	if err != nil {
		return Output{}, noResponse(ctx, what, err)
	}
	defer func() { _ = resp.Body.Close() }() // read as far as it is wanted
	if at := shown(resp.Request.URL); at != shown(req.URL) {
		what += ", redirected to " + at
	}
	if !in.expects(resp.StatusCode) {
		return Output{}, unexpected(what, resp, redact)
	}
	out := Output{Status: resp.StatusCode, Headers: headers(resp.Header, redact)}
	if out.Body, err = body(ctx, in, what, resp, redact); err != nil {
		return Output{}, err
	}
	if _, err := workflow.Encode(out); errors.Is(err, grapnel.ErrTooLarge) {
		return Output{}, tooLarge(what)
	}
	return out, nil
}

// request makes the first request.
func request(ctx context.Context, in *Input, secrets http.Header) (*http.Request, error) {
	method := strings.ToUpper(in.Method)
	if method == "" {
		method = http.MethodGet
	}
	var body io.Reader
	isJSON := false
	if len(in.Body) > 0 && !bytes.Equal(in.Body, []byte("null")) {
		var text string
		if json.Unmarshal(in.Body, &text) == nil {
			body = strings.NewReader(text)
		} else {
			body, isJSON = bytes.NewReader(in.Body), true
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, in.URL, body)
	if err != nil {
		return nil, task.Fail(workflow.KindBadInput, err)
	}
	req.Header.Set("User-Agent", "grapnel")
	if isJSON {
		req.Header.Set("Content-Type", "application/json")
	}
	safe := method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
	if key := task.InfoFrom(ctx).IdempotencyKey; key != "" && !safe {
		req.Header.Set("Idempotency-Key", key)
	}
	for name, v := range in.Headers {
		req.Header.Set(name, v)
	}
	for name := range secrets {
		req.Header[name] = secrets[name]
	}
	return req, nil
}

// errRedirects is what too many redirects come to.
var errRedirects = errors.New("more than 10 redirects")

// redirected prepares a request that follows a redirect.
func redirected(in *Input, secrets http.Header, req *http.Request, via []*http.Request) error {
	if !in.follows() {
		return http.ErrUseLastResponse
	}
	if len(via) > MaxRedirects {
		return errRedirects
	}
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return &egressError{fmt.Errorf("a redirect leads to %s, which is neither http nor https", req.URL.Scheme)}
	}
	first := via[0].URL
	if req.URL.Scheme != first.Scheme || !strings.EqualFold(req.URL.Host, first.Host) {
		for name := range secrets {
			req.Header.Del(name)
		}
	}
	return nil
}

// shown returns a URL as it is told: without a query, which may hold what is
// nobody's business, and without a user.
func shown(u *url.URL) string {
	s := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return s.String()
}

// noResponse is the failure of a request that got no response.
func noResponse(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s was given up: %w", what, context.Cause(ctx))
	}
	// The client's own error has the URL with its query.
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if _, ok := errors.AsType[*egressError](err); ok {
		return task.Fail(KindEgress, fmt.Errorf("%s: %w (see --allow-http)", what, err))
	}
	return &workflow.Failure{Kind: KindNetwork, Node: -1, Message: fmt.Sprintf("%s: %v", what, err), Permanent: errors.Is(err, errRedirects)}
}
