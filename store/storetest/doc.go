// Package storetest is what every store must do.
//
// [Run] is a suite of named behaviours, one subtest each, that the port's
// documentation promises. Half of it is about commits that run at the same time:
// a store may let them share a request, and each way in which one of them could
// then fail its neighbours, or see what they write, has a case.
//
// [Differential] makes the same random calls on two stores and compares what
// they answer, what they hold and what they tell of it.
//
// An adapter's test is short:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store { return memstore.New() }, storetest.Options{})
//	}
package storetest
