package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grapnel-dev/grapnel"
)

// stateVariable is where systems with a desktop have a user's state.
const stateVariable = "XDG_STATE_HOME"

// stateFolder returns the folder of this user's state at parts: below
// $XDG_STATE_HOME/grapnel, which is ~/.local/state/grapnel by default.
func stateFolder(parts ...string) (string, error) {
	base := os.Getenv(stateVariable)
	if !filepath.IsAbs(base) { // as the rules for the variable have it
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("%w: no folder for state, give one by --data: %w", grapnel.ErrInvalid, err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(append([]string{base, "grapnel"}, parts...)...), nil
}

// removeState removes a run's folder of its own, and those above that are empty
// then.
func removeState(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the run's state: %w", err)
	}
	if err := os.Remove(filepath.Dir(dir)); err != nil && !errors.Is(err, os.ErrNotExist) && !notEmpty(filepath.Dir(dir)) {
		return fmt.Errorf("remove the folder of runs' state: %w", err)
	}
	return nil
}

func notEmpty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) > 0
}
