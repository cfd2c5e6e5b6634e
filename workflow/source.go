package workflow

// SourceKind says how a [Source] makes its value.
type SourceKind uint8

// Kinds of sources. The numbers are persisted.
const (
	// SourceNone is no value: JSON null.
	SourceNone SourceKind = 0
	// SourceInput is the run's input.
	SourceInput SourceKind = 1
	// SourceNode is the output of a node.
	SourceNode SourceKind = 2
	// SourceConst is a constant.
	SourceConst SourceKind = 3
	// SourceField is a field of the value of Of[0].
	SourceField SourceKind = 4
	// SourceStruct is an object: Const with the values of Of set at Paths.
	SourceStruct SourceKind = 5
	// SourceGather is a list of the values of Of.
	SourceGather SourceKind = 6
	// SourceItem is the item of a map, for the nodes in its body: Node is the
	// index of the map, be it the innermost or one around it.
	SourceItem SourceKind = 7
	// SourceIndex is the index of that item, from 0.
	SourceIndex SourceKind = 8
	// SourceRunID is the run's id, a JSON string.
	SourceRunID SourceKind = 9
)

// Source says, as data that any process can evaluate, how a value is made from
// the run's input and the outputs of nodes. All values are JSON.
type Source struct {
	Kind SourceKind
	// Node is the index of the node, for SourceNode, SourceItem and SourceIndex.
	// The output of a switch is its picked branch's result, or null; that of a
	// map is the list of its items' results. That of a skipped node is null.
	Node int
	// Const is JSON, for SourceConst and SourceStruct.
	Const []byte
	// Path is the way to the field in the JSON of Of[0], for SourceField.
	Path []string
	// Of are the sources that this one is made from.
	Of []Source
	// Paths are where the values of Of go, for SourceStruct.
	Paths [][]string
}

// Nodes adds the indices of all nodes that s reads to set.
func (s Source) Nodes(set map[int]bool) {
	if s.Kind == SourceNode {
		set[s.Node] = true
	}
	for _, of := range s.Of {
		of.Nodes(set)
	}
}
