package store

import "strings"

// overlap reports whether two operations of one branch write the same key.
func overlap(a, b Op) bool {
	if !a.Writes() || !b.Writes() {
		return false
	}
	switch {
	case a.Kind == OpDeletePrefix && b.Kind == OpDeletePrefix:
		return strings.HasPrefix(a.Key, b.Key) || strings.HasPrefix(b.Key, a.Key)
	case a.Kind == OpDeletePrefix:
		return strings.HasPrefix(b.Key, a.Key)
	case b.Kind == OpDeletePrefix:
		return strings.HasPrefix(a.Key, b.Key)
	}
	return a.Key == b.Key
}
