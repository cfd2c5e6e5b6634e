package etcdstore

import (
	"fmt"

	"github.com/coreos/go-semver/semver"

	"github.com/grapnel-dev/grapnel"
)

// OldServerError says that a member runs a version of etcd that Grapnel does
// not work well with. It is [grapnel.ErrInvalid].
type OldServerError struct {
	Endpoint string
	Version  string
	// Needed is the first version of the same minor release that is supported,
	// or of the oldest supported one.
	Needed string
	// Fault is what goes wrong with this version.
	Fault string
}

func (e *OldServerError) Error() string {
	return fmt.Sprintf("%v: etcd at %s has version %s, and %s is needed: %s",
		grapnel.ErrInvalid, e.Endpoint, e.Version, e.Needed, e.Fault)
}

// Is reports whether target is [grapnel.ErrInvalid].
func (e *OldServerError) Is(target error) bool { return target == grapnel.ErrInvalid }

const (
	leaseAndWatchFaults = "older releases can extend or revoke leases wrongly and lose watch events"
	unknownVersion      = "its version cannot be read"
)

// supported has the first supported release of each minor version, oldest
// first. Later minor versions are supported as they come.
var supported = []semver.Version{
	{Major: 3, Minor: 5, Patch: 26},
	{Major: 3, Minor: 6, Patch: 14},
	{Major: 3, Minor: 7, Patch: 1},
}

// checkVersion returns an [OldServerError] if a server must not be used.
func checkVersion(endpoint, version string) error {
	old := &OldServerError{Endpoint: endpoint, Version: version, Needed: supported[0].String(), Fault: leaseAndWatchFaults}
	v, err := semver.NewVersion(version)
	if err != nil {
		old.Fault = unknownVersion
		return old
	}
	for _, s := range supported {
		if v.Major == s.Major && v.Minor == s.Minor {
			old.Needed = s.String()
			if v.LessThan(s) {
				return old
			}
			return nil
		}
	}
	if v.LessThan(supported[0]) {
		return old
	}
	return nil
}
