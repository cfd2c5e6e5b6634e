// Package execution is where finished runs go: a [Record] of each, written to a
// [Sink] before the run is deleted from the store.
//
// # What is promised
//
// A run is deleted only after a Write of its record returned nil. The writer may
// die between the two, and coordinators change, so a record may be written more
// than once: sinks take records as one if they agree in run, instance and
// generation ([Record.Key]).
//
// Records carry what a run was and how it went. They do not carry the outputs
// of single nodes.
package execution
