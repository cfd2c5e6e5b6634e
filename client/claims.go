package client

import (
	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
)

// claims are the live claims of a run, by node.
type claims map[int]claimed

// put takes in a claim as it was read, by the id of its key. One that is of no
// node is left out.
func (cs claims) put(c *Client, id string, kv store.KV) {
	if i, ok := snapshot.NodeIndex(grapnel.NodeKey(id)); ok {
		cs[i] = c.decodeClaim(kv)
	}
}

// remove takes out a claim that is gone.
func (cs claims) remove(id string) {
	if i, ok := snapshot.NodeIndex(grapnel.NodeKey(id)); ok {
		delete(cs, i)
	}
}
