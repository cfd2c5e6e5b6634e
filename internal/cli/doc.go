// Package cli is what Grapnel's three commands share: the settings of a
// connection, by flags or environment, the roles that more than one command can
// take, and how errors are told and turned into exit codes.
//
// Each connection flag can be given by an environment variable instead:
// GRAPNEL_ and the flag's name in capitals, with underscores for dashes, such as
// GRAPNEL_ENDPOINTS. A flag goes before its variable.
package cli
