// Package cli is what Grapnel's three commands share: their settings, the roles
// that more than one command can take, completion and reference of commands, and
// how errors are told and turned into exit codes.
//
// # Settings
//
// Connection flags, --output, and the flags of the roles can be given in three
// ways, of which the first that is there counts:
//
//   - the flag, such as --endpoints;
//   - an environment variable that is not empty: GRAPNEL_, the section and the
//     flag's name in capitals, with underscores for dashes and dots, such as
//     GRAPNEL_ENDPOINTS or GRAPNEL_WORKER_SLOTS;
//   - a YAML file, in which the flags of a role are in a section named after it.
//
// The file is the one that --config or GRAPNEL_CONFIG names, or else the user's.
// The working directory is not looked at: to look into a folder of somebody's
// must not be enough to send a password where that folder says. What is no
// setting, or cannot be its value, is an error wherever it is in the file, also
// in a section that the command at hand does not use, with its line and the
// nearest right name.
package cli
