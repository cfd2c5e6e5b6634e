//go:build mutation

package mutation

import "os"

// active is read once, so that all guards of a process agree.
var active = Name(os.Getenv(Variable))

// On reports whether the guard that name stands for is switched off: whether
// GRAPNEL_MUTATION holds this name.
func On(name Name) bool { return active == name }
