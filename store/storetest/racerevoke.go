package storetest

import (
	"errors"
	"fmt"

	"github.com/grapnel-dev/grapnel/store"
)

// raceRevoke revokes a lease while commits put keys under it. A put that
// succeeded came before the revocation and its key is gone; one that failed left
// nothing.
func raceRevoke(e *env) {
	for round := range rounds {
		id := e.grant()
		errs := make([]error, racers)
		together(racers+1, func(i int) {
			if i == racers {
				if err := e.s.Revoke(e.ctx, id); err != nil {
					e.Errorf("revoke: %v", err)
				}
				return
			}
			_, errs[i] = e.s.Commit(e.ctx, store.Txn{Then: []store.Op{
				store.Put(e.key(fmt.Sprintf("leased/%d", i)), nil, id),
				store.Put(e.key(fmt.Sprintf("free/%d/%d", round, i)), nil, 0),
			}})
		})
		e.equal("keys of a lease that is gone", e.short(e.listAt("leased/", 0)), []string(nil))
		for i, err := range errs {
			if err != nil && !errors.Is(err, store.ErrLeaseNotFound) {
				e.Errorf("commit %d: %v, want ErrLeaseNotFound", i, err)
			}
			if name := fmt.Sprintf("free/%d/%d", round, i); e.there(name) != (err == nil) {
				e.Errorf("commit %d: %v, and %s exists: %v", i, err, name, err != nil)
			}
		}
	}
}
