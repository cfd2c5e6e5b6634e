package flowfile

// Keys are the keys that the parser knows, by the schema's name for what has
// them.
var Keys = map[string][]string{
	"":                fileKeys,
	"input":           inputKeys,
	"secret":          secretKeys,
	"secretReference": secretRefKeys,
	"headerReference": headerRefKeys,
	"defaults":        defaultKeys,
	"task":            append(append([]string{}, commonKeys...), runKeys...),
	"runOutputs":      runOutputKeys,
	"outputFile":      outFileKeys,
	"httpOutputs":     httpOutputKeys,
	"http":            httpKeys,
	"retry":           retryKeys,
}

// InputTypes are the types of inputs.
var InputTypes = inputTypeNames()
