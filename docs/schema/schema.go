// Package schema holds the JSON Schemas that editors check files with.
package schema

import _ "embed"

// Flow is the JSON Schema, draft 2020-12, of workflows in YAML.
//
//go:embed flow.schema.json
var Flow []byte
