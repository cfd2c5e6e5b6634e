package httptask

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/secret"
	"github.com/grapnel-dev/grapnel/workflow"
)

// TaskName is the name of the task, which has no version.
const TaskName = "grapnel.http"

// Task is the contract. Definitions that are not made in Go name the types of a
// node's input and output as its Types does.
var Task = workflow.NewTask[Input, Output](TaskName)

// Kinds of failures, besides those of package workflow.
const (
	// KindStatus: the response has a status that was not expected. Retried as the
	// node's policy says for 408, 425, 429 and 5xx; permanent otherwise.
	KindStatus = "http-status"
	// KindEgress: the worker does not let requests go there. Permanent.
	KindEgress = "http-egress"
	// KindNetwork: there was no response, or not all of it. Retried as the node's
	// policy says.
	KindNetwork = "http-network"
	// KindSecret: a secret is not there, or is not given away. Permanent.
	KindSecret = "secret"
)

// Forms in which a body is taken.
const (
	FormText = "text"
	FormJSON = "json"
	FormNone = "none"
)

// Input is a request, and what is expected of the response.
type Input struct {
	Method string `json:"method,omitempty"` // empty means GET
	// URL is absolute, http or https, without a user.
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	// Secrets are headers whose values the worker finds. What stands before the
	// value, such as "Bearer ", is the header's value in Headers, if there is one.
	Secrets map[string]secret.Secret `json:"secrets,omitempty"`
	// Body is sent as it is if it is a JSON string, and otherwise as JSON; then
	// Content-Type is application/json unless Headers say otherwise.
	Body json.RawMessage `json:"body,omitempty"`
	// Expect lists the statuses that are a success; none means any 2xx. With a
	// 3xx among them redirects are not followed.
	Expect []int `json:"expect,omitempty"`
	// As is the form in which the body is taken: [FormJSON], [FormText], or
	// [FormNone], which leaves it unread. Empty means JSON if the Content-Type
	// says so, and text otherwise.
	As string `json:"as,omitempty"`
}

// Output is the response. Encoded, it has at most [grapnel.MaxPayload] bytes.
type Output struct {
	Status int `json:"status"`
	// Headers have the names in their usual form (Content-Type); values of one
	// name are joined by commas. Set-Cookie is left out.
	Headers map[string]string `json:"headers,omitempty"`
	// Body is a string for [FormText]; absent if there is none.
	Body json.RawMessage `json:"body,omitempty"`
}

// Check returns what is wrong with the input, or nil. The error wraps
// [grapnel.ErrInvalid].
func (in *Input) Check() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: http: "+format, append([]any{grapnel.ErrInvalid}, args...)...)
	}
	if in.Method != "" && !isToken(in.Method) {
		return wrong("method %q is none", in.Method)
	}
	u, err := url.Parse(in.URL)
	switch {
	case err != nil:
		return wrong("%w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return wrong("url %q is neither http:// nor https://", in.URL)
	case u.Hostname() == "":
		return wrong("url %q has no host", in.URL)
	case u.User != nil:
		return wrong("the url has a user in it, which would be stored: send an Authorization header from secrets")
	}
	if err := in.checkHeaders(); err != nil {
		return wrong("%w", err)
	}
	for _, status := range in.Expect {
		if status < 200 || status > 599 {
			return wrong("expect: %d is no final status", status)
		}
	}
	switch in.As {
	case "", FormText, FormJSON, FormNone:
	default:
		return wrong("as %q is none of json, text, none", in.As)
	}
	return nil
}

func (in *Input) checkHeaders() error {
	seen := map[string]bool{}
	check := func(where, name, value string) error {
		same := where + http.CanonicalHeaderKey(name)
		if seen[same] {
			return fmt.Errorf("header %s is there twice", http.CanonicalHeaderKey(name))
		}
		seen[same] = true
		return checkHeader(name, value)
	}
	for name, value := range in.Headers {
		if err := check("headers ", name, value); err != nil {
			return err
		}
	}
	for name := range in.Secrets {
		if err := check("secrets ", name, ""); err != nil {
			return err
		}
	}
	return nil
}

func checkHeader(name, value string) error {
	if !isToken(name) {
		return fmt.Errorf("%q is no name of a header", name)
	}
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Trailer", "Te", "Proxy-Authorization", "Proxy-Connection":
		return fmt.Errorf("header %s cannot be chosen", name)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return fmt.Errorf("header %s has a control character in its value", name)
	}
	return nil
}

// isToken reports whether s is a token of HTTP.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// expects reports whether a status is a success.
func (in *Input) expects(status int) bool {
	if len(in.Expect) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.Contains(in.Expect, status)
}

// follows reports whether redirects are followed.
func (in *Input) follows() bool {
	return !slices.ContainsFunc(in.Expect, func(status int) bool { return status >= 300 && status <= 399 })
}
