// Package secret finds the values that tasks name without containing them, and
// keeps these values out of what is stored, logged or told.
//
// A definition holds a [Secret]: the name of an environment variable or of a
// file of the worker. The worker that executes the task resolves it, as far as
// its [Policy] allows. By default nothing is allowed: a definition may come from
// somebody who may not see all that the worker can read.
//
// # What is kept out, and what is not
//
// A [Redactor] replaces a value with [Mask] wherever it appears: as it is, line
// by line if it has several, escaped as in JSON or in a URL, whichever characters
// are, in hexadecimal, and in Base64, also in the middle of something longer that
// is encoded as a whole, and in lines of 16 characters or more.
// It does not know what a program makes of a value otherwise: halves, digests,
// encrypted or compressed forms pass. Values shorter than [MinLength] are
// refused, because text would be full of them by chance.
package secret
