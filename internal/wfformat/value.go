package wfformat

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// object is a JSON object. Of a key that is there twice, the last value counts.
type object map[string]json.RawMessage

// The methods below take apart valid JSON. Each reports, at its place, what is
// missing or of another type than WfFormat wants, and is then not ok.

// object returns the object that raw is.
func (p *parser) object(place string, raw json.RawMessage) (object, bool) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil || o == nil {
		p.add(place, "must be an object, is %s", describe(raw))
		return nil, false
	}
	return o, true
}

// objectIn returns the object at a key of o, which is at place.
func (p *parser) objectIn(o object, place, key string) (object, bool) {
	raw, ok := p.required(o, place, key)
	if !ok {
		return nil, false
	}
	return p.object(join(place, key), raw)
}

// list returns the list at a key of o.
func (p *parser) list(o object, place, key string) ([]json.RawMessage, bool) {
	raw, ok := p.required(o, place, key)
	if !ok {
		return nil, false
	}
	var l []json.RawMessage
	if err := json.Unmarshal(raw, &l); err != nil || l == nil {
		p.add(join(place, key), "must be a list, is %s", describe(raw))
		return nil, false
	}
	return l, true
}

// text returns the string at a key of o, which must not be empty.
func (p *parser) text(o object, place, key string) (string, bool) {
	raw, ok := p.required(o, place, key)
	if !ok {
		return "", false
	}
	s, ok := p.string(join(place, key), raw)
	if ok && s == "" {
		p.add(join(place, key), "must not be empty")
		return "", false
	}
	return s, ok
}

// string returns the string that raw is.
func (p *parser) string(place string, raw json.RawMessage) (string, bool) {
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		p.add(place, "must be a string, is %s", describe(raw))
		return "", false
	}
	return *s, true
}

// number returns the number at a key of o, as it is written.
func (p *parser) number(o object, place, key string) (string, bool) {
	raw, ok := p.required(o, place, key)
	if !ok {
		return "", false
	}
	if kind := describe(raw); kind != aNumber {
		p.add(join(place, key), "must be a number, is %s", kind)
		return "", false
	}
	return string(raw), true
}

func (p *parser) required(o object, place, key string) (json.RawMessage, bool) {
	raw, ok := o[key]
	if !ok {
		p.add(join(place, key), "is missing")
	}
	return raw, ok
}

const aNumber = "a number"

// describe names the type of a JSON value, which has no space around it.
func describe(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return aNumber
}

func join(place, key string) string {
	if place == "" {
		return key
	}
	return place + "." + key
}

func index(place string, i int) string { return place + "[" + strconv.Itoa(i) + "]" }

// parseSeconds turns a JSON number of seconds into a duration. Numbers with up
// to nine decimal places and no exponent are exact; others are as good as a
// float64 is.
func parseSeconds(number string) (time.Duration, error) {
	if !strings.ContainsAny(number, "eE") {
		return time.ParseDuration(number + "s")
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, err
	}
	ns := math.Round(f * 1e9)
	if ns < math.MinInt64 || ns >= math.MaxInt64 {
		return 0, strconv.ErrRange
	}
	return time.Duration(ns), nil
}

// formatSeconds is the exact inverse of parseSeconds for durations from zero.
func formatSeconds(d time.Duration) json.Number {
	s := fmt.Sprintf("%d.%09d", d/time.Second, d%time.Second)
	s = strings.TrimRight(s, "0")
	if strings.HasSuffix(s, ".") {
		s += "0"
	}
	return json.Number(s)
}
