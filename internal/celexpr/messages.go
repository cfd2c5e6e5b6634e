package celexpr

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// runtimeError makes CEL's error of an evaluation readable.
func runtimeError(err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "cost limit exceeded"):
		return fmt.Errorf("it takes more work than the %d units that one evaluation may take", MaxCost)
	case strings.Contains(text, "no such overload"):
		return errors.New("a function or operator was used on a value of a type that it does not take (null of a skipped task, for example): " + text)
	case strings.HasPrefix(text, "no such key: "):
		return fmt.Errorf("there is no %q in the value that it is read from", strings.TrimPrefix(text, "no such key: "))
	}
	return errors.New(text)
}

var (
	unexpected  = regexp.MustCompile(`^Syntax error: (?:extraneous input|mismatched input|no viable alternative at input|token recognition error at:) '((?s).*?)'(?: expecting.*)?$`)
	missing     = regexp.MustCompile(`^Syntax error: missing (.*) at '((?s).*)'$`)
	noOverload  = regexp.MustCompile(`^found no matching overload for '(.+?)' applied to '(?:(.+)\.)?\((.*)\)'$`)
	undeclared  = regexp.MustCompile(`^undeclared reference to '(.+?)'`)
	noField     = regexp.MustCompile(`^undefined field '(.+?)'`)
	typeParam   = regexp.MustCompile(`_var\d+`)
	binary      = regexp.MustCompile(`^_(.+)_$`)
	prefix      = regexp.MustCompile(`^([!-])_$`)
	notSelected = regexp.MustCompile(`^type '(.+)' does not support field selection$`)
	notRange    = regexp.MustCompile(`^expression of type '(.+)' cannot be range of a comprehension`)
)

// readable says what CEL's compiler says in words that need no knowledge of its
// parts.
func readable(message string) string {
	switch {
	case strings.Contains(message, "code point size exceeds limit"):
		return fmt.Sprintf("the expression has more than %d characters", MaxSource)
	case strings.Contains(message, "recursion limit exceeded"), strings.Contains(message, "recursion depth exceeded"), strings.Contains(message, "nesting depth"):
		return "the expression is nested too deeply"
	case strings.Contains(message, "node count"), strings.Contains(message, "node limit"):
		return "the expression has too many parts"
	}
	if m := unexpected.FindStringSubmatch(message); m != nil {
		if m[1] == "<EOF>" {
			return "the expression ends too early"
		}
		return fmt.Sprintf("unexpected %q in the expression", m[1])
	}
	if m := missing.FindStringSubmatch(message); m != nil {
		if m[2] == "<EOF>" {
			return "the expression ends too early: " + m[1] + " is missing"
		}
		return fmt.Sprintf("%s is missing before %q", m[1], m[2])
	}
	if m := noOverload.FindStringSubmatch(message); m != nil {
		return overload(m[1], m[2], m[3])
	}
	if m := notSelected.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("a value of type %s has no fields", typeNames(m[1]))
	}
	if m := notRange.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("a value of type %s is no list or map, which this needs", typeNames(m[1]))
	}
	if m := noField.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("there is no %s in the value that it is read from", m[1])
	}
	if m := undeclared.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("there is no %s", m[1])
	}
	return strings.TrimPrefix(typeNames(message), "Syntax error: ")
}

// overload says that a function or operator does not take values of these
// types.
func overload(name, target, args string) string {
	args, target = typeNames(args), typeNames(target)
	if name == "_?_:_" {
		return fmt.Sprintf("%s cannot be used with ? and :, which need a bool and two values of one type", args)
	}
	if name == "_[_]" {
		return fmt.Sprintf("a value cannot be looked up with [] like this: %s", args)
	}
	if m := prefix.FindStringSubmatch(name); m != nil {
		return fmt.Sprintf("%s cannot be used on a value of type %s", m[1], args)
	}
	if m := binary.FindStringSubmatch(name); m != nil || name == "@in" {
		op := "in"
		if m != nil {
			op = m[1]
		}
		a, b, _ := splitTypes(args)
		text := fmt.Sprintf("%s cannot be used on values of type %s and %s", op, a, b)
		switch {
		case strings.Contains("+", op) && (a == "string") != (b == "string"):
			text += "; make a text of the other one with text(…)"
		case a != b:
			text += "; both sides must be of one type"
		}
		return text
	}
	if target != "" {
		return fmt.Sprintf("%s cannot be called on a value of type %s with (%s)", name, target, args)
	}
	return fmt.Sprintf("%s cannot be called with (%s)", name, args)
}

// splitTypes splits two types at the comma between them.
func splitTypes(args string) (a, b string, ok bool) {
	depth := 0
	for i, r := range args {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				return args[:i], strings.TrimSpace(args[i+1:]), true
			}
		}
	}
	return args, "", false
}

// typeNames replaces CEL's names of types by those that people write.
func typeNames(text string) string {
	text = typeParam.ReplaceAllString(text, "any")
	return strings.NewReplacer("double", "number", "dyn", "any",
		"google.protobuf.Duration", "duration", "google.protobuf.Timestamp", "timestamp", "google.protobuf.", "").Replace(text)
}
