package client

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// position is where a listing goes on.
type position struct {
	shard store.Shard
	// after is the last key read, without the prefix of the shard's runs; empty
	// at the shard's beginning.
	after string
}

const (
	tokenVersion = 1
	tokenHeader  = 1 + 4 + 1 // version, checksum, shard
	maxToken     = 4 << 10
)

// token returns the position as callers carry it. It holds for one filter.
func (at position) token(f *Filter) string {
	b := binary.BigEndian.AppendUint32([]byte{tokenVersion}, at.checksum(f))
	b = append(b, byte(at.shard))
	return base64.RawURLEncoding.EncodeToString(append(b, at.after...))
}

// parseToken is the inverse of token; the empty token is the beginning.
func parseToken(token string, f *Filter) (position, error) {
	if token == "" {
		return position{}, nil
	}
	if len(token) > maxToken {
		return position{}, fmt.Errorf("%w: page token of %d bytes", grapnel.ErrInvalid, len(token))
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < tokenHeader || b[0] != tokenVersion {
		return position{}, fmt.Errorf("%w: page token %q is not one that a listing returned", grapnel.ErrInvalid, token)
	}
	at := position{shard: store.Shard(b[5]), after: string(b[tokenHeader:])}
	if binary.BigEndian.Uint32(b[1:]) != at.checksum(f) {
		return position{}, fmt.Errorf("%w: page token %q is damaged, or of a listing with another filter", grapnel.ErrInvalid, token)
	}
	return at, nil
}

// checksum tells tokens that were mangled, or made for another filter, from
// good ones. It keeps nobody from making tokens, which would be no use.
func (at position) checksum(f *Filter) uint32 {
	h := fnv.New32a()
	add := func(parts ...any) {
		for _, p := range parts {
			_, _ = fmt.Fprintf(h, "%q ", fmt.Sprint(p))
		}
	}
	add(tokenVersion, at.shard, at.after, f.Workflow, len(f.Status))
	for _, s := range slices.Sorted(slices.Values(f.Status)) {
		add(s)
	}
	for _, k := range slices.Sorted(maps.Keys(f.Labels)) {
		add(k, f.Labels[k])
	}
	add(f.StartedAfter.UnixNano(), f.StartedBefore.UnixNano())
	return h.Sum32()
}
