package client

import (
	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// claims are the live claims of a run, by the keys of their nodes.
type claims map[grapnel.NodeKey]claimed

// put takes in a claim as it was read, by the id of its key.
func (cs claims) put(c *Client, id string, kv store.KV) { cs[grapnel.NodeKey(id)] = c.decodeClaim(kv) }

// remove takes out a claim that is gone.
func (cs claims) remove(id string) { delete(cs, grapnel.NodeKey(id)) }
