package cli

import "github.com/spf13/pflag"

// Formats of output.
const (
	FormatTable = "table"
	FormatJSON  = "json"
)

// RegisterOutput adds the flag --output.
func RegisterOutput(fs *pflag.FlagSet, format *string) {
	fs.StringVarP(format, "output", "o", FormatTable, "how to print: table or json")
	AsSettings(fs, "", "output")
}
