// Package archtest keeps the architecture by tests: which package may import
// which, what a user's program is made to depend on, and that no file names a
// place of the machine it was written on. It holds no code.
//
// A new package has to be entered in the table of layout_test.go. That is on
// purpose: where it stands is a decision, not an accident.
package archtest
