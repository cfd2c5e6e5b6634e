// Package sloghclog lets Grapnel, which logs by hclog, write to log/slog, and
// programs that log by slog write to hclog.
//
// [New] makes an hclog.Logger of a slog.Logger, for the Logger fields of Config in
// packages worker, client, coordinator and local. [Handler] makes a slog.Handler
// of an hclog.Logger.
//
// # Levels
//
// Hclog's levels are slog's, and its trace is [LevelTrace], as far below debug as
// debug is below info. Levels between two of hclog's count as the lower one.
//
// # What is lost
//
// An hclog.Logger dates its entries itself and has no groups: a [Handler] drops
// the time of a record, and joins the names of groups and attributes by dots. It
// drops the place in the source, too. [New] loses nothing: the name of a logger
// becomes the attribute [NameKey].
package sloghclog
