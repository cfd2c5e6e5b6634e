// Package celexpr evaluates and checks expressions in CEL, the Common
// Expression Language, over JSON.
//
// [Evaluator] evaluates: an environment that is a JSON object goes in, JSON
// comes out. The same expression and environment give the same bytes in every
// process: there are no clocks and no random numbers, maps are gone through in
// the order of their keys, and evaluation ends after a bounded amount of work,
// which is counted and not timed.
//
// [Scope] checks an expression before anything runs: it knows the names that
// there will be and, as far as they are known, their types, and says where in
// the expression what is wrong, and which name was probably meant.
//
// # Numbers
//
// A JSON number without fraction and exponent is an int, or a uint if it is
// over 2^63-1. One that needs more than 64 bits is an error, if it is looked
// at: no number is rounded silently. All others are doubles. A double is written
// with a fraction or exponent, so that it is still one when it is read again.
//
// # Functions
//
// Besides CEL's own: those for strings (charAt, indexOf, join, lastIndexOf,
// lowerAscii, replace, reverse, split, substring, trim, upperAscii), for lists
// (distinct, flatten, reverse, slice, sort, sortBy, lists.range), math.* and
// base64.*, and four of this package: text(x) is x as it appears inside a text,
// quote(x) is text(x) as one word of a shell, toJSON(x) and fromJSON(text).
package celexpr
