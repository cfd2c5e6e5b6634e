package claim

import (
	"context"
	"errors"
	"fmt"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// MostTogether is how many targets [Session.AcquireAll] takes at the most.
const MostTogether = 16

// Acquired is a claim and the run's head as of its revision, or nothing.
type Acquired struct {
	Claim *Claim // nil if the node was not claimed
	Head  store.KV
}

// AcquireAll claims nodes under the session's lease, all in one commit: that
// costs the store less than one commit for each. If one of them is not to be
// had, none is claimed, as a rule; what is not can be tried with
// [Session.Acquire], which says why. There is an entry for each target, in their
// order. The claims may have the same fence.
//
// Errors: [ErrLost] if the session is lost, [grapnel.ErrInvalid] for more than
// [MostTogether] targets, or those of the store. With an error nothing is
// claimed. Claims whose outcome is unknown are looked after as by Acquire.
func (s *Session) AcquireAll(ctx context.Context, targets []Target) ([]Acquired, error) {
	if len(targets) > MostTogether {
		return nil, fmt.Errorf("claim nodes: %w: %d at once, at most %d are possible", grapnel.ErrInvalid, len(targets), MostTogether)
	}
	if !s.Trusted() {
		return nil, fmt.Errorf("claim nodes: %w", errNotTrusted)
	}
	mod := s.revision()
	claims := make([]*Claim, len(targets))
	heads := make([]int, len(targets)) // where each one's head is among the reads
	at := map[string]int{}
	txn := store.Txn{If: s.unchanged(mod)}
	for i, t := range targets {
		claims[i] = s.claimOf(t, s.ID())
		one, err := claims[i].txn(t)
		if err != nil {
			return nil, err
		}
		txn.If, txn.Then = append(txn.If, one.If...), append(txn.Then, one.Then[0])
		if _, ok := at[one.Then[1].Key]; !ok {
			at[one.Then[1].Key] = len(txn.Then)
			txn.Then = append(txn.Then, one.Then[1])
		}
		heads[i] = at[one.Then[1].Key]
	}
	res, err := s.st.Commit(ctx, txn)
	switch {
	case errors.Is(err, grapnel.ErrUnknown):
		return s.resolveAll(claims, mod)
	case err != nil:
		return nil, fmt.Errorf("claim nodes: %w", err)
	}
	acquired := make([]Acquired, len(targets))
	if !res.Succeeded {
		return acquired, nil
	}
	for i, c := range claims {
		c.fence = grapnel.Fence(res.Revision)
		c.begin()
		acquired[i] = Acquired{Claim: c, Head: res.Reads[heads[i]].KV}
	}
	return acquired, nil
}

// resolveAll finds out what became of claims of unknown outcome, as
// [Claim.resolve] does of one.
func (s *Session) resolveAll(claims []*Claim, mod grapnel.Revision) ([]Acquired, error) {
	var gets []store.Op
	for _, c := range claims {
		gets = append(gets, store.Get(c.key), store.Get(s.keys.Head(c.run)))
	}
	reads, err := s.void(mod, gets...)
	if err != nil {
		return nil, fmt.Errorf("claim nodes: %w", err)
	}
	acquired := make([]Acquired, len(claims))
	for i, c := range claims {
		if c.found(reads[2*i]) {
			c.begin()
			acquired[i] = Acquired{Claim: c, Head: reads[2*i+1].KV}
		}
	}
	return acquired, nil
}
