package cli

import (
	"github.com/spf13/cobra"
)

// Strict makes a command, with all below it, leave the telling of errors to
// [Report], and makes mistakes in flags and arguments a [UsageError]. Commands
// that say nothing about arguments take none. It adds the commands that all
// have: help, completion, and the hidden one that writes the reference.
func Strict(cmd *cobra.Command) *cobra.Command {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &UsageError{Command: cmd.CommandPath(), Err: err}
	})
	withReference(cmd)
	strictArgs(cmd)
	withDefaults(cmd)
	return cmd
}

func strictArgs(cmd *cobra.Command) {
	check := cmd.Args
	if check == nil {
		check = cobra.NoArgs
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &UsageError{Command: cmd.CommandPath(), Err: err}
		}
		return nil
	}
	for _, sub := range cmd.Commands() {
		strictArgs(sub)
	}
}
