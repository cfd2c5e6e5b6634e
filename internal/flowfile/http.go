package flowfile

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

func (r *reader) http(f *File, keys map[string]field, what string) *httpCall {
	h := &httpCall{headers: map[string]*value{}, secrets: map[string]string{}}
	fields, ok := r.object(keys["http"].value, "http of "+what, httpKeys)
	if !ok {
		return h
	}
	if v, ok := fields["url"]; ok {
		h.url = r.words(v.value, "url of "+what)
		r.checkURL(h.url, what)
	} else {
		r.add(at(keys["http"].value), "http of %s has no url", what)
	}
	if v, ok := fields["method"]; ok {
		h.method = r.words(v.value, "method of "+what)
		if m := h.method; m.kind == plain && isText(v.value) && !isMethod(m.text) {
			r.add(at(v.value), "method of %s cannot be %s; write one such as GET, POST, PUT, PATCH or DELETE, in capitals", what, quote(m.text))
		}
	}
	if v, ok := fields["headers"]; ok {
		r.texts(f, v.value, "headers of "+what, headerRefKeys, h.headers, h.secrets, func(key *yaml.Node, name string) {
			switch {
			case !isHeader(name):
				r.add(at(key), "%s cannot be a header", quote(name))
			case slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)):
				r.add(at(key), "header %s cannot be set; it follows from the request", name)
			}
		})
		for _, name := range sortedKeys(h.headers) {
			if v := h.headers[name]; v.kind == plain && strings.ContainsFunc(v.text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
				r.add(at(v.node), "header %s has a control character or the end of a line in its value", name)
			}
		}
	}
	if v, ok := fields["body"]; ok {
		h.body = r.any(v.value, "body")
	}
	if v, ok := fields["expect"]; ok {
		h.expect = r.expect(v.value, what)
	}
	if v, ok := keys["outputs"]; ok {
		outputs, _ := r.object(v.value, "outputs of "+what, httpOutputKeys)
		if v, ok := outputs["body"]; ok {
			h.as = r.oneOf(v.value, "body of "+what, stdoutForms)
		}
	}
	return h
}

// isHeader reports whether s can be the name of a header.
func isHeader(s string) bool {
	return s != "" && strings.Trim(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// ownHeaders are headers that a request has anyway.
var ownHeaders = []string{
	"Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Trailer", "Te", "Proxy-Authorization", "Proxy-Connection",
}

func isMethod(s string) bool {
	return slices.Contains([]string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}, s)
}

// checkURL checks what is known of a URL before expressions are.
func (r *reader) checkURL(v *value, what string) {
	begin := v.text
	if v.kind == mixed {
		begin = v.parts[0].text
		if begin == "" {
			return
		}
	}
	u, err := url.Parse(begin)
	if v.kind == mixed && strings.Contains(begin, "://") {
		begin, _, _ = strings.Cut(begin, "://")
		u, err = &url.URL{Scheme: begin, Host: "known-later"}, nil
	}
	if err == nil && u.User != nil {
		r.add(at(v.node), "url of %s has a user in it, which would be in the run's state; send a header from a secret", what)
		return
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		r.add(at(v.node), "url of %s must begin with http:// or https:// and a host", what)
	}
}

// expect reads the statuses that count as success: a list, or one.
func (r *reader) expect(n *yaml.Node, what string) []int {
	elems := []*yaml.Node{n}
	if n.Kind != yaml.ScalarNode {
		elems, _ = r.list(n, "expect of "+what)
		if n.Kind == yaml.SequenceNode && len(elems) == 0 {
			r.add(at(n), "expect of %s is empty; leave it out to take any status from 200 to 299", what)
		}
	}
	var codes []int
	for _, elem := range elems {
		if code, ok := r.integer(elem, "a status in expect of "+what, 200, 599); ok {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}
