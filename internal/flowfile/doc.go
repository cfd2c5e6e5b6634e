// Package flowfile reads workflows that are written in YAML and compiles them to
// definitions, the same that workflows in Go become. docs/YAML.md says what may
// be in a file.
//
// [Parse] reads a file in four steps. Each goes on after what is wrong, so that
// all problems are told at once, each with its place; the next step is taken
// where the one before left enough to look at.
//
//   - YAML: one document in UTF-8, of bounded size also when its aliases are
//     replaced by what they stand for. What is no YAML ends the reading.
//   - Keys and values: each has the right name and form.
//   - Names and types: expressions use what there is, in a way that its type
//     allows; tasks need each other in no circle.
//   - Compilation: the definition's limits hold.
//
// A file with a problem has no definition, so nothing can be started from it.
package flowfile
