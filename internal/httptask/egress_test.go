package httptask

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/grapnel-dev/grapnel"
)

func TestRulesAllowWhatTheySay(t *testing.T) {
	t.Parallel()
	const public, private = "93.184.215.14", "10.1.2.3"
	for _, tt := range []struct {
		rules, host, addr string
		port              uint16
		want              string // "" if it is allowed
	}{
		{"", "a.example", public, 443, "go to a.example:443"},
		{"a.example", "a.example", public, 443, ""},
		{"A.Example.", "a.eXample.", public, 80, ""},
		{"a.example", "b.example", public, 443, "go to b.example:443"},
		{"a.example", "x.a.example", public, 443, "go to x.a.example:443"},
		{"a.example:443", "a.example", public, 443, ""},
		{"a.example:443", "a.example", public, 80, "go to a.example:80"},
		{"*.example", "a.b.example", public, 443, ""},
		{"*.example", "example", public, 443, "go to example:443"},
		{"*.example", "anexample", public, 443, "go to anexample:443"},
		{"*", "anything", public, 1, ""},
		{"*:443", "anything", public, 1, "go to anything:1"},
		{"*", public, public, 443, ""},
		{"a.example", public, public, 443, "go to 93.184.215.14:443"},
		{"a.example", "a.example", private, 443, "not a public address"},
		{"*", "localhost", "127.0.0.1", 443, "not a public address"},
		{"localhost", "localhost", "127.0.0.1", 443, "not a public address"},
		{"localhost,127.0.0.1", "localhost", "127.0.0.1", 443, ""},
		{"127.0.0.1:80", "127.0.0.1", "127.0.0.1", 80, ""},
		{"127.0.0.1:80", "127.0.0.1", "127.0.0.1", 81, "go to 127.0.0.1:81"},
		{"127.0.0.1", "127.0.0.1", "::ffff:127.0.0.1", 80, ""},
		{"10.0.0.0/8", "a.example", private, 443, ""},
		{"10.0.0.0/8:443", "a.example", private, 80, "go to a.example:80"},
		{"10.0.0.0/8", "a.example", "11.0.0.1", 443, "go to a.example:443"},
		{"[::1]:80", "::1", "::1", 80, ""},
		{"::1", "::1", "::1", 80, ""},
		{"[2001:db8::/32]:80", "a", "2001:db8::1", 80, ""},
		{"2001:db8::/32", "::2", "2002:db8::1", 80, "go to [::2]:80"},
		{"*", "a", "169.254.169.254", 80, "not a public address"},
		{"*", "a", "::ffff:169.254.169.254", 80, "not a public address"},
		{"*", "a", "100.64.0.1", 80, "not a public address"},
		{"*", "a", "0.0.0.0", 80, "not a public address"},
		{"*", "a", "0.1.2.3", 80, "not a public address"},
		{"*", "a", "224.0.0.1", 80, "not a public address"},
		{"*", "a", "255.255.255.255", 80, "not a public address"},
		{"*", "a", "::1", 80, "not a public address"},
		{"*", "a", "::", 80, "not a public address"},
		{"*", "a", "fe80::1%eth0", 80, "not a public address"},
		{"*", "a", "fd00::1", 80, "not a public address"},
		{"*", "a", "64:ff9b::a00:1", 80, "not a public address"},
		{"*", "a", "2002:a00:1::", 80, "not a public address"},
		{"*", "a", "::127.0.0.1", 80, "not a public address"},
		{"*", "a", "2606:2800:220:1:248:1893:25c8:1946", 80, ""},
	} {
		var texts []string
		if tt.rules != "" {
			texts = strings.Split(tt.rules, ",")
		}
		rules, err := ParseRules(texts)
		if err != nil {
			t.Errorf("%s: %v", tt.rules, err)
			continue
		}
		err = rules.Allow(tt.host, netip.MustParseAddr(tt.addr), tt.port)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q, %s at %s, port %d: %v, want %q", tt.rules, tt.host, tt.addr, tt.port, err, tt.want)
		}
	}
}

func TestRulesThatMeanNothingAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", "*.", "a..b", "https://a.example", "a.example/path", "a:b", "a:0", "a:65536", "a:", "a b", "*a.example",
		"a.*.example", "bücher.example", "10.0.0.1/8", "10.0.0.0/33", "::ffff:10.0.0.0/104", "[::1", "[::1]x", "fe80::1%eth0", "user@a",
	} {
		if rules, err := ParseRules([]string{text}); !errors.Is(err, grapnel.ErrInvalid) || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q: %+v, %v", text, rules, err)
		}
	}
	if _, err := ParseRules([]string{"a:0", "b", "c:0"}); err == nil || !strings.Contains(err.Error(), `"c:0"`) {
		t.Errorf("not all mistakes are told: %v", err)
	}
}

func TestRequestsGoNowhereElse(t *testing.T) {
	t.Parallel()
	var served atomic.Int32
	port := serve(t, func(http.ResponseWriter, *http.Request) { served.Add(1) })
	resolver := &names{known: map[string][][]string{"inside.example": {{"127.0.0.1"}}, "evil.example": {{"127.0.0.1"}}}}
	for name, tt := range map[string]struct{ rules, url, want string }{
		"nothing is allowed":   {"", "http://127.0.0.1:" + port, "go to 127.0.0.1"},
		"another host":         {"good.example", "http://evil.example:" + port, "go to evil.example"},
		"a name for inside":    {"*.example", "http://inside.example:" + port, "inside.example is at 127.0.0.1, which is not a public address"},
		"an odd way to say it": {"*", "http://[::ffff:127.0.0.1]:" + port, "not a public address"},
	} {
		var rules []string
		if tt.rules != "" {
			rules = []string{tt.rules}
		}
		c := caller(t, Config{Resolver: resolver}, rules...)
		_, err := c.Do(attempt(t.Context()), Input{URL: tt.url + "/p?token=hidden"})
		wantFailure(t, err, KindEgress, true, tt.want, "--allow-http", "GET http://")
		if strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: the query is told: %v", name, err)
		}
	}
	if served.Load() != 0 {
		t.Errorf("%d requests arrived", served.Load())
	}
	if slices.Contains(resolver.asked, "evil.example") {
		t.Error("a host that cannot be allowed was looked up")
	}
}

func TestANameThatChangesItsMeaningGainsNothing(t *testing.T) {
	t.Parallel()
	var served atomic.Int32
	port := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		w.Header().Set("Connection", "close")
	})
	// The address that is looked at is the one that is connected to: each
	// connection takes one look-up.
	resolver := &names{known: map[string][][]string{"rebind.example": {{"127.0.0.2"}, {"127.0.0.1"}}}}
	c := caller(t, Config{Resolver: resolver}, "127.0.0.2")
	_, err := c.Do(attempt(t.Context()), Input{URL: "http://rebind.example:" + port})
	wantFailure(t, err, KindNetwork, false, "127.0.0.2") // where nobody listens
	if len(resolver.asked) != 1 {
		t.Errorf("%d look-ups", len(resolver.asked))
	}
	_, err = c.Do(attempt(t.Context()), Input{URL: "http://rebind.example:" + port})
	wantFailure(t, err, KindEgress, true, "go to rebind.example")
	// Of several addresses only those that are allowed are tried.
	resolver.known["mixed.example"] = [][]string{{"10.0.0.1", "127.0.0.1"}}
	c = caller(t, Config{Resolver: resolver}, "127.0.0.1")
	if _, err := c.Do(attempt(t.Context()), Input{URL: "http://mixed.example:" + port}); err != nil || served.Load() != 1 {
		t.Errorf("%v, %d requests arrived", err, served.Load())
	}
}

func TestRedirectsAreCheckedLikeFirstRequests(t *testing.T) {
	t.Parallel()
	var inside atomic.Int32
	secret := serve(t, func(http.ResponseWriter, *http.Request) { inside.Add(1) })
	var target atomic.Value
	open := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if to, _ := target.Load().(string); r.URL.Path == "/" {
			http.Redirect(w, r, to, http.StatusFound)
		}
	})
	c := caller(t, Config{Resolver: &names{known: map[string][][]string{"elsewhere.example": {{"127.0.0.1"}}}}}, "127.0.0.1:"+open)
	for to, want := range map[string]string{
		"http://127.0.0.1:" + secret + "/":         "go to 127.0.0.1:" + secret,
		"http://elsewhere.example:" + secret + "/": "go to elsewhere.example:" + secret,
		"http://169.254.169.254/latest/":           "go to 169.254.169.254:80",
		"file:///etc/passwd":                       "file",
	} {
		target.Store(to)
		_, err := c.Do(attempt(t.Context()), Input{URL: "http://127.0.0.1:" + open + "/"})
		wantFailure(t, err, KindEgress, true, want)
	}
	if inside.Load() != 0 {
		t.Errorf("%d requests arrived", inside.Load())
	}
	target.Store("/there")
	out, err := c.Do(attempt(t.Context()), Input{URL: "http://127.0.0.1:" + open + "/"})
	if err != nil || out.Status != 200 {
		t.Errorf("%+v, %v", out, err)
	}
	target.Store("/")
	_, err = c.Do(attempt(t.Context()), Input{URL: "http://127.0.0.1:" + open + "/"})
	wantFailure(t, err, KindNetwork, true, "more than 10 redirects")
	out, err = c.Do(attempt(t.Context()), Input{URL: "http://127.0.0.1:" + open + "/", Expect: []int{302}, As: "none"})
	if err != nil || out.Status != 302 || out.Headers["Location"] != "/" {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestProxiesOfTheEnvironmentAreNotUsed(t *testing.T) {
	var proxied atomic.Int32
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { proxied.Add(1) })
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:"+proxy)
	t.Setenv("http_proxy", "http://127.0.0.1:"+proxy)
	port := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := caller(t, Config{Resolver: &names{known: map[string][][]string{"a.example": {{"127.0.0.1"}}}}}, "127.0.0.1")
	if _, err := c.Do(attempt(t.Context()), Input{URL: "http://a.example:" + port}); err != nil || proxied.Load() != 0 {
		t.Errorf("%v, %d requests through the proxy", err, proxied.Load())
	}
}
