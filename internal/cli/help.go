package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// completionExamples say how the scripts of each shell are used.
var completionExamples = map[string]string{
	"bash":       "  source <(%[1]s completion bash)\n  %[1]s completion bash > /etc/bash_completion.d/%[1]s",
	"zsh":        "  source <(%[1]s completion zsh)\n  %[1]s completion zsh > \"${fpath[1]}/_%[1]s\"",
	"fish":       "  %[1]s completion fish | source\n  %[1]s completion fish > ~/.config/fish/completions/%[1]s.fish",
	"powershell": "  %[1]s completion powershell | Out-String | Invoke-Expression",
}

// withDefaults adds the commands that Cobra brings, help and completion, with
// examples as others have them.
func withDefaults(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Example = "  " + root.Name() + " help completion"
		case "completion":
			cmd.Example = "  source <(" + root.Name() + " completion bash)"
			for _, shell := range cmd.Commands() {
				shell.Example = fmt.Sprintf(completionExamples[shell.Name()], root.Name())
			}
		}
	}
}

// ForShells reports whether a command is one that shells call, as they start or
// while somebody types.
func ForShells(cmd *cobra.Command) bool {
	if cmd.Name() == cobra.ShellCompRequestCmd || cmd.Name() == cobra.ShellCompNoDescRequestCmd {
		return true
	}
	return cmd.HasParent() && cmd.Parent().Name() == "completion"
}
