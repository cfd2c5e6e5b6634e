// Package tui draws what Grapnel's commands show of runs and namespaces: pure
// functions from a model to lines, for a width and a height. It knows neither
// terminals nor stores; package live puts lines on a terminal, and commands make
// the models.
//
// There are two whole views, [Run.Lines] for one run and [Top.Lines] for a
// namespace, and the parts that they are made of, for views of others: [Bar],
// [TaskTable], [FailureLines], [Table], [Heading] and, for single texts, [Clean],
// [Fit], [Pad] and [Elapsed].
//
// Whatever is returned
//
//   - has no line wider than the width that was asked for, in cells of a
//     terminal, in which a Chinese character takes two;
//   - has no more lines than the height, where one is asked for;
//   - contains control characters only as its own colours: texts that come from
//     runs are cleaned, so that the message of a failure cannot move the cursor;
//   - depends on nothing but the arguments. Times are given as durations, so the
//     caller's clock decides.
//
// Colours are the terminal's own sixteen, so that they suit its background, and
// say nothing that the text does not say too.
package tui
