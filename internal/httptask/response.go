package httptask

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/secret"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/workflow"
)

// excerptSize is how much of the body of an unexpected response is told.
const excerptSize = 1 << 10

// unexpected is the failure of a response with a status that is no success.
func unexpected(what string, resp *http.Response, redact *secret.Redactor) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: status %d %s", what, resp.StatusCode, http.StatusText(resp.StatusCode))
	for _, name := range []string{"Retry-After", "Location"} {
		if v := resp.Header.Get(name); v != "" {
			fmt.Fprintf(&b, "; %s: %s", name, redact.Text(v))
		}
	}
	// Best effort: the status is what counts. More is read than told, so that no
	// part of a secret is left at the cut.
	data, _ := io.ReadAll(io.LimitReader(resp.Body, grapnel.MaxPayload))
	text := strings.TrimSpace(redact.Text(strings.ToValidUTF8(string(data), "\uFFFD")))
	if len(text) > excerptSize {
		cut := excerptSize
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + " …"
	}
	if text != "" {
		b.WriteString("; it says: " + text)
	}
	return &workflow.Failure{Kind: KindStatus, Node: -1, Message: b.String(), Permanent: !retryable(resp.StatusCode)}
}

// retryable reports whether a status may be another one next time.
func retryable(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// headers returns what is kept of a response's headers.
func headers(h http.Header, redact *secret.Redactor) map[string]string {
	kept := make(map[string]string, len(h))
	for name, values := range h {
		if name == "Set-Cookie" { // a secret of whoever is logged in by it
			continue
		}
		kept[name] = redact.Text(strings.ToValidUTF8(strings.Join(values, ", "), "\uFFFD"))
	}
	return kept
}

// body reads a response's body in the form wanted.
func body(ctx context.Context, in *Input, what string, resp *http.Response, redact *secret.Redactor) (json.RawMessage, error) {
	if in.As == FormNone {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, grapnel.MaxPayload+1))
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s was given up: %w", what, context.Cause(ctx))
	case len(data) > grapnel.MaxPayload:
		return nil, tooLarge(what)
	case err != nil:
		return nil, &workflow.Failure{Kind: KindNetwork, Node: -1, Message: fmt.Sprintf("%s: read the response: %v", what, err)}
	case len(data) == 0:
		return nil, nil
	}
	form := in.As
	if form == "" {
		form = formOf(resp.Header.Get("Content-Type"))
	}
	if form == FormJSON {
		var compact bytes.Buffer
		err := json.Unmarshal(data, new(json.RawMessage)) // tells where a mistake is, unlike Compact
		if err == nil {
			err = json.Compact(&compact, data)
		}
		if err != nil {
			return nil, task.Fail(workflow.KindBadOutput, fmt.Errorf("%s: the response is not JSON: %w", what, whereInJSON(data, err)))
		}
		masked, err := redact.JSON(compact.Bytes())
		if err != nil {
			return nil, task.Fail(workflow.KindBadOutput, fmt.Errorf("%s: %w", what, err))
		}
		return masked, nil
	}
	if in.As == "" && !utf8.Valid(data) {
		return nil, task.Fail(workflow.KindBadOutput, fmt.Errorf("%s: the response is neither JSON nor text (Content-Type %q); take it as none, or as text with what is not UTF-8 replaced",
			what, resp.Header.Get("Content-Type")))
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(redact.Text(strings.ToValidUTF8(string(data), "\uFFFD"))); err != nil {
		return nil, task.Fail(workflow.KindBadOutput, fmt.Errorf("%s: %w", what, err))
	}
	return bytes.TrimSpace(buf.Bytes()), nil
}

// formOf returns the form that a Content-Type means.
func formOf(contentType string) string {
	media, _, err := mime.ParseMediaType(contentType)
	if err == nil && (media == "application/json" || strings.HasSuffix(media, "+json")) {
		return FormJSON
	}
	return FormText
}

// whereInJSON adds to a decoder's error the byte that it is about.
func whereInJSON(data []byte, err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("byte %d of %d: %w", syntax.Offset, len(data), err)
	}
	return err
}

func tooLarge(what string) error {
	return task.Fail(workflow.KindTooLarge, fmt.Errorf(
		"%s: the response has more than %d bytes (grapnel.MaxPayload), which is as much as an output may have: ask for less, or for a part at a time",
		what, grapnel.MaxPayload))
}
