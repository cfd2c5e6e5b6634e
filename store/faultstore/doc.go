// Package faultstore wraps a store and lets it fail as networks and servers do:
// requests that never arrive, replies that get lost, requests that are applied
// long after their sender gave up, delays, and watches that lag or break.
//
// What fails is decided by a [Rule], call by call. [EachCall] makes a rule for
// every call of a scenario and every way in which it can fail; [Random] decides
// by seed. For the same sequence of calls a rule decides the same.
package faultstore
