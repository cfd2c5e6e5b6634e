package httptask

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/secret"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestTheContractNamesItsTypes(t *testing.T) {
	t.Parallel()
	in, out := Task.Types()
	if err := Task.Err(); err != nil || in != "httptask.Input" || out != "httptask.Output" || Task.Name() != "grapnel.http" {
		t.Errorf("task %s takes %s and returns %s, %v", Task.Name(), in, out, err)
	}
}

// echo tells the request.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
	w.Header().Set("Set-Cookie", "session=1")
	w.Header()["X-Two"] = []string{"a", "b"}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(map[string]string{ // the client notices
		"request": r.Method + " " + r.URL.String(), "type": r.Header.Get("Content-Type"), "key": r.Header.Get("Idempotency-Key"),
		"x": r.Header.Get("X"), "body": string(body),
	})
}

func TestRequestsAreSentAsTheInputSays(t *testing.T) {
	t.Parallel()
	port := serve(t, echo)
	c := caller(t, Config{}, "127.0.0.1")
	for name, tt := range map[string]struct{ in, want string }{
		"GET":            {`{"url": "U/a?b=%20c"}`, `{"body":"","key":"","request":"GET /a?b=%20c","type":"","x":""}`},
		"POST of JSON":   {`{"url": "U/", "method": "post", "body": {"a": [1]}, "headers": {"x": "ü"}}`, `{"body":"{\"a\": [1]}","key":"run/1/2","request":"POST /","type":"application/json","x":"ü"}`},
		"PUT of text":    {`{"url": "U/", "method": "PUT", "body": "<a>", "headers": {"content-type": "text/xml", "idempotency-key": "own"}}`, `{"body":"<a>","key":"own","request":"PUT /","type":"text/xml","x":""}`},
		"DELETE":         {`{"url": "U/", "method": "DELETE", "body": null, "expect": [200, 404]}`, `{"body":"","key":"run/1/2","request":"DELETE /","type":"","x":""}`},
		"JSON in itself": {`{"url": "U/", "method": "PATCH", "body": 7, "headers": {"Content-Type": "application/merge-patch+json"}}`, `{"body":"7","key":"run/1/2","request":"PATCH /","type":"application/merge-patch+json","x":""}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var in Input
			if err := json.Unmarshal([]byte(strings.ReplaceAll(tt.in, "U/", "http://127.0.0.1:"+port+"/")), &in); err != nil {
				t.Fatal(err)
			}
			out, err := c.Do(attempt(t.Context()), in)
			if err != nil {
				t.Fatal(err)
			}
			want := `{"status":200,"headers":{"Content-Type":"application/problem+json; charset=utf-8","X-Two":"a, b"},"body":` + tt.want + `}`
			if got := encoded(t, out); got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
		})
	}
}

func TestResponsesAreTakenInTheFormWanted(t *testing.T) {
	t.Parallel()
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		_, _ = io.WriteString(w, r.URL.Query().Get("body")) // the client notices
	})
	c := caller(t, Config{}, "127.0.0.1")
	for _, tt := range []struct{ as, contentType, body, want string }{
		{"", "application/json", ` {"a": 1.0}`, `{"a":1.0}`},
		{"", "text/plain", `{"a": 1}`, `"{\"a\": 1}"`},
		{"json", "text/plain", `{"a": 1}`, `{"a":1}`},
		{"text", "application/json", `[1`, `"[1"`},
		{"text", "", "a\xff", `"a` + "\uFFFD" + `"`},
		{"", "application/json", "", ``},
		{"json", "", "", ``},
		{"none", "application/json", "[", ``},
		{"", "x/y; odd", "<&>", `"<&>"`},
	} {
		u := "http://127.0.0.1:" + port + "/?" + url.Values{"type": {tt.contentType}, "body": {tt.body}}.Encode()
		out, err := c.Do(attempt(t.Context()), Input{URL: u, As: tt.as})
		if err != nil || string(out.Body) != tt.want {
			t.Errorf("%+v: %s, %v", tt, out.Body, err)
		}
	}
	for _, tt := range []struct{ as, contentType, body, want string }{
		{"", "application/json", "[1,\n x]", "not JSON: byte 6 of 7"},
		{"json", "", "nope", "not JSON: byte 2 of 4"},
		{"", "image/png", "\x89PNG", `neither JSON nor text (Content-Type "image/png")`},
	} {
		u := "http://127.0.0.1:" + port + "/?" + url.Values{"type": {tt.contentType}, "body": {tt.body}}.Encode()
		_, err := c.Do(attempt(t.Context()), Input{URL: u, As: tt.as})
		wantFailure(t, err, workflow.KindBadOutput, true, tt.want)
	}
}

func TestInputsThatCannotBeSentAreRefused(t *testing.T) {
	t.Parallel()
	c := caller(t, Config{}, "*")
	for _, tt := range []struct{ in, want string }{
		{`{}`, `url ""`},
		{`{"url": "/a"}`, "neither http:// nor https://"},
		{`{"url": "ftp://a"}`, "neither http:// nor https://"},
		{`{"url": "http:///a"}`, "no host"},
		{`{"url": "http://a:b:c/"}`, "invalid"},
		{`{"url": "http://user:pass@a/"}`, "Authorization"},
		{`{"url": "http://a", "method": "G T"}`, `method "G T"`},
		{`{"url": "http://a", "headers": {"a b": ""}}`, `"a b"`},
		{`{"url": "http://a", "headers": {"A": "x\r\nB: y"}}`, "control character"},
		{`{"url": "http://a", "headers": {"x-a": "1", "X-A": "2"}}`, "header X-A is there twice"},
		{`{"url": "http://a", "headers": {"host": "b"}}`, "cannot be chosen"},
		{`{"url": "http://a", "secrets": {"Transfer-Encoding": {"env": "A"}}}`, "cannot be chosen"},
		{`{"url": "http://a", "expect": [99]}`, "99"},
		{`{"url": "http://a", "as": "xml"}`, `"xml"`},
	} {
		var in Input
		if err := json.Unmarshal([]byte(tt.in), &in); err != nil {
			t.Fatal(err)
		}
		_, err := c.Do(attempt(t.Context()), in)
		wantFailure(t, err, workflow.KindBadInput, true, tt.want)
		if strings.Contains(err.Error(), "pass") {
			t.Errorf("the password is told: %v", err)
		}
	}
}

func TestAStatusThatWasNotExpectedIsAFailure(t *testing.T) {
	t.Parallel()
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		if _, err := fmt.Sscan(strings.TrimPrefix(r.URL.Path, "/"), &status); err != nil {
			t.Error(err)
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "because "+strings.Repeat("ü", 2000)) // the client notices
	})
	c := caller(t, Config{}, "127.0.0.1")
	for _, tt := range []struct {
		status    int
		expect    []int
		ok        bool
		permanent bool
	}{
		{200, nil, true, false},
		{299, nil, true, false},
		{404, []int{404}, true, false},
		{200, []int{201, 404}, false, true},
		{300, nil, false, true},
		{400, nil, false, true},
		{404, nil, false, true},
		{408, nil, false, false},
		{425, nil, false, false},
		{429, nil, false, false},
		{500, nil, false, false},
		{503, nil, false, false},
	} {
		u := fmt.Sprintf("http://127.0.0.1:%s/%d", port, tt.status)
		out, err := c.Do(attempt(t.Context()), Input{Method: "POST", URL: u + "?q=hidden", Expect: tt.expect})
		if tt.ok {
			if err != nil || out.Status != tt.status {
				t.Errorf("%+v: %+v, %v", tt, out, err)
			}
			continue
		}
		wantFailure(t, err, KindStatus, tt.permanent, fmt.Sprintf("POST %s: status %d", u, tt.status), "Retry-After: 7", "it says: because üü")
		if len(err.Error()) > 2000 || strings.Contains(err.Error(), "hidden") {
			t.Errorf("too much is told: %v", err)
		}
	}
}

func TestSecretsGoWithTheRequestAndNowhereElse(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GRAPNEL_TEST_TOKEN", "s3cr3t-t0ken")
	for name, text := range map[string]string{"key": "api-k3y-12\n", "lines": "one line\nanother line\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tell := func(w http.ResponseWriter, r *http.Request) {
		got := r.Header.Get("Authorization") + "," + r.Header.Get("X-Api-Key")
		w.Header().Set("X-Told", got)
		if r.URL.Path == "/fail" {
			http.Error(w, got, http.StatusTeapot)
			return
		}
		if got != "Bearer s3cr3t-t0ken,api-k3y-12" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, got) // the client notices
	}
	port := serve(t, tell)
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header["Authorization"])+len(r.Header["X-Api-Key"]) > 0 {
			t.Error("secrets went along with a redirect to another host")
		}
	})
	from := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:"+other+"/", http.StatusTemporaryRedirect)
	})
	c := caller(t, Config{Secrets: secret.Policy{Env: []string{"GRAPNEL_TEST_TOKEN"}, Dirs: []string{dir}}}, "127.0.0.1")
	in := Input{
		URL:     "http://127.0.0.1:" + port + "/",
		Headers: map[string]string{"authorization": "Bearer "},
		Secrets: map[string]secret.Secret{"Authorization": {Env: "GRAPNEL_TEST_TOKEN"}, "X-Api-Key": {File: filepath.Join(dir, "key")}},
	}
	out, err := c.Do(attempt(t.Context()), in)
	if err != nil {
		t.Fatal(err)
	}
	if got := encoded(t, out); strings.Contains(got, "s3cr3t") || strings.Contains(got, "k3y") || !strings.Contains(got, `"body":"Bearer ***,***"`) {
		t.Errorf("a secret got out: %s", got)
	}
	in.URL = "http://127.0.0.1:" + port + "/fail"
	_, err = c.Do(attempt(t.Context()), in)
	wantFailure(t, err, KindStatus, true, "it says: Bearer ***,***")
	in.URL = "http://127.0.0.1:" + from + "/"
	if _, err = c.Do(attempt(t.Context()), in); err != nil {
		t.Error(err)
	}
	in.Secrets["X-Api-Key"] = secret.Secret{Env: "HOME"}
	_, err = c.Do(attempt(t.Context()), in)
	wantFailure(t, err, KindSecret, true, "header X-Api-Key", "--secret-env HOME")
	in.Secrets["X-Api-Key"] = secret.Secret{File: filepath.Join(dir, "lines")}
	_, err = c.Do(attempt(t.Context()), in)
	wantFailure(t, err, KindSecret, true, "header X-Api-Key", "control character")
}

func TestResponsesThatAreTooLargeAreNotTaken(t *testing.T) {
	t.Parallel()
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/headers":
			w.Header().Set("X", strings.Repeat("x", 2*MaxHeaderBytes))
		case "/endless":
			for b := make([]byte, 4096); ; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		case "/quotes":
			_, _ = io.WriteString(w, strings.Repeat(`"`, 40_000)) // the client notices
		}
	})
	c := caller(t, Config{}, "127.0.0.1")
	base := "http://127.0.0.1:" + port
	_, err := c.Do(attempt(t.Context()), Input{URL: base + "/endless"})
	wantFailure(t, err, workflow.KindTooLarge, true, "more than 65536 bytes", "ask for less")
	_, err = c.Do(attempt(t.Context()), Input{URL: base + "/quotes"})
	wantFailure(t, err, workflow.KindTooLarge, true, "more than 65536 bytes")
	_, err = c.Do(attempt(t.Context()), Input{URL: base + "/headers"})
	wantFailure(t, err, KindNetwork, false, "headers exceeded")
	out, err := c.Do(attempt(t.Context()), Input{URL: base + "/endless", As: "none"})
	if err != nil || out.Status != 200 {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestAttemptsThatEndGiveTheirRequestsUp(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 2)
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "half")
			if f, ok := w.(http.Flusher); ok {
				f.Flush()
			}
		}
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	c := caller(t, Config{}, "127.0.0.1")
	for _, path := range []string{"/headers", "/body"} {
		ctx, cancel := context.WithCancelCause(attempt(t.Context()))
		go func() {
			<-arrived
			cancel(fmt.Errorf("over: %w", grapnel.ErrTimedOut))
		}()
		_, err := c.Do(ctx, Input{URL: "http://127.0.0.1:" + port + path})
		if err == nil || !strings.Contains(err.Error(), path+" was given up: over: timed out") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAResponseThatDoesNotComeIsWorthAnotherTry(t *testing.T) {
	t.Parallel()
	port := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half" {
			panic(http.ErrAbortHandler)
		}
	})
	c := caller(t, Config{Resolver: &names{}}, "127.0.0.1", "*.example")
	for _, tt := range []struct{ url, want string }{
		{"http://127.0.0.1:1/", "refused"},
		{"http://gone.example/", "no such host"},
		{"http://127.0.0.1:" + port + "/half", "EOF"},
		{"https://127.0.0.1:" + port + "/", "HTTPS"},
	} {
		_, err := c.Do(attempt(t.Context()), Input{URL: tt.url})
		wantFailure(t, err, KindNetwork, false, tt.want)
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{Secrets: secret.Policy{Dirs: []string{"/nowhere"}}}); !errors.Is(err, grapnel.ErrInvalid) {
		t.Error(err)
	}
}
