// Package mutation switches single guards of the protocol off, so that a test
// can show that it fails without them.
//
// Code asks for a guard's switch by name where the guard is applied:
//
//	if !mutation.On(mutation.ClaimWithoutAbsent) {
//		conds = append(conds, store.Absent(claimKey))
//	}
//
// In an ordinary build [On] is constantly false and the compiler removes the
// question. Built with the tag "mutation", On is true for the one name in the
// environment variable GRAPNEL_MUTATION. No such binary may ever be shipped.
//
// The file catalog.txt names, for each switch, the tests that must fail when
// it is on and pass when it is off; "make mutations" checks that they do.
package mutation
