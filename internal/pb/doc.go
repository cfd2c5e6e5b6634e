// Package pb is the generated form of what Grapnel persists. Fields are only
// ever added: a field that a newer version wrote survives a rewrite by an older
// one, so messages are rewritten with their unknown fields.
package pb
