package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

func TestCompactedErrorSaysWhatIsKept(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("watch: %w", &store.CompactedError{Revision: 42})
	if !errors.Is(err, store.ErrCompacted) || errors.Is(err, grapnel.ErrUnavailable) {
		t.Errorf("%v is not ErrCompacted, or is more than that", err)
	}
	var ce *store.CompactedError
	if !errors.As(err, &ce) || ce.Revision != 42 || !strings.Contains(err.Error(), "42") {
		t.Errorf("%v does not tell the revision", err)
	}
}
