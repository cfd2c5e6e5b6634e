package unbuildable

import "testing"

func TestDoesNotCompile(*testing.T) { undefined() }
