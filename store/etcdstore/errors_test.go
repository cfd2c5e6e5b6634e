package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

func TestErrorsSayWhatIsKnown(t *testing.T) {
	t.Parallel()
	var (
		unavailable = grapnel.ErrUnavailable
		unknown     = grapnel.ErrUnknown
	)
	for _, c := range []struct {
		err         error
		read, write error
	}{
		{rpctypes.ErrGRPCEmptyKey, grapnel.ErrInvalid, grapnel.ErrInvalid},
		{rpctypes.ErrGRPCDuplicateKey, grapnel.ErrInvalid, grapnel.ErrInvalid},
		{rpctypes.ErrGRPCFutureRev, grapnel.ErrInvalid, grapnel.ErrInvalid},
		{rpctypes.ErrGRPCLeaseTTLTooLarge, grapnel.ErrInvalid, grapnel.ErrInvalid},
		{rpctypes.ErrGRPCTooManyOps, grapnel.ErrTooLarge, grapnel.ErrTooLarge},
		{rpctypes.ErrGRPCRequestTooLarge, grapnel.ErrTooLarge, grapnel.ErrTooLarge},
		{status.Error(codes.ResourceExhausted, "trying to send message larger than max (3 vs. 2)"), grapnel.ErrTooLarge, grapnel.ErrTooLarge},
		{rpctypes.ErrGRPCCompacted, store.ErrCompacted, store.ErrCompacted},
		{rpctypes.ErrGRPCLeaseNotFound, store.ErrLeaseNotFound, store.ErrLeaseNotFound},
		{rpctypes.ErrGRPCPermissionDenied, store.ErrDenied, store.ErrDenied},
		{rpctypes.ErrGRPCAuthFailed, store.ErrDenied, store.ErrDenied},
		{rpctypes.ErrGRPCUserEmpty, store.ErrDenied, store.ErrDenied},
		{rpctypes.ErrGRPCInvalidAuthToken, store.ErrDenied, store.ErrDenied},
		{status.Error(codes.Unauthenticated, "by a proxy"), store.ErrDenied, store.ErrDenied},

		// Nothing was proposed.
		{rpctypes.ErrGRPCNoLeader, unavailable, unavailable},
		{rpctypes.ErrGRPCRequestTooManyRequests, unavailable, unavailable},
		{rpctypes.ErrGRPCCorrupt, unavailable, unavailable},
		{status.Error(codes.Unknown, "raft proposal dropped"), unavailable, unavailable},

		// Something may have been.
		{rpctypes.ErrGRPCNoSpace, grapnel.ErrOverCapacity, unknown},
		{rpctypes.ErrGRPCLeaderChanged, unavailable, unknown},
		{rpctypes.ErrGRPCStopped, unavailable, unknown},
		{rpctypes.ErrGRPCTimeout, unavailable, unknown},
		{rpctypes.ErrGRPCTimeoutDueToLeaderFail, unavailable, unknown},
		{rpctypes.ErrGRPCTimeoutDueToConnectionLost, unavailable, unknown},
		{status.Error(codes.Unavailable, "transport is closing"), unavailable, unknown},
		{status.Error(codes.DeadlineExceeded, "deadline exceeded"), unavailable, unknown},
		{status.Error(codes.Canceled, "the client connection is closing"), unavailable, unknown},
		{status.Error(codes.Internal, "stream terminated by RST_STREAM"), unavailable, unknown},
		{status.Error(codes.Unknown, "whatever comes next year"), unavailable, unknown},
		{context.DeadlineExceeded, unavailable, unknown},
		{context.Canceled, unavailable, unknown},
		{errors.New("no gRPC error"), unavailable, unknown},
	} {
		// Clients turn named errors of the server into values of their own.
		for _, err := range []error{c.err, rpctypes.Error(c.err)} {
			if got := readError(t.Context(), err); !errors.Is(got, c.read) {
				t.Errorf("read with %v: %v, want %v", err, got, c.read)
			}
			got := writeError(err, true)
			if !errors.Is(got, c.write) {
				t.Errorf("write with %v: %v, want %v", err, got, c.write)
			}
			if known := !errors.Is(c.write, unknown); known && errors.Is(got, unknown) {
				t.Errorf("write with %v: %v is unknown", err, got)
			}
			if got := writeError(err, false); errors.Is(got, unknown) {
				t.Errorf("write with %v before it was sent: %v", err, got)
			}
			for _, got := range []error{readError(t.Context(), err), writeError(err, true)} {
				if errors.Is(got, context.DeadlineExceeded) || errors.Is(got, context.Canceled) {
					t.Errorf("%v: %v takes the request's end for the caller's", err, got)
				}
			}
		}
	}
}

func TestOverCapacityIsCertainOnlyUnderAnAlarmSeenBefore(t *testing.T) {
	t.Parallel()
	err := overCapacity(false, rpctypes.ErrNoSpace)
	if !errors.Is(err, grapnel.ErrUnknown) || !errors.Is(err, grapnel.ErrOverCapacity) {
		t.Errorf("without an alarm: %v", err)
	}
	err = overCapacity(true, rpctypes.ErrNoSpace)
	if errors.Is(err, grapnel.ErrUnknown) || !errors.Is(err, grapnel.ErrOverCapacity) {
		t.Errorf("under an alarm: %v", err)
	}
}

func TestReadOfACallerWhoLeftReturnsTheCausesOfThat(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	err := readError(ctx, context.Canceled)
	if !errors.Is(err, cause) || !errors.Is(err, context.Canceled) || errors.Is(err, grapnel.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	cancelled, cancel2 := context.WithCancelCause(t.Context())
	cancel2(nil)
	if err := contextError(cancelled); err != context.Canceled { //nolint:errorlint // exactly that
		t.Errorf("without a cause: %v", err)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version, needed string
	}{
		{"3.4.40", "3.5.26"}, {"3.5.25", "3.5.26"}, {"3.5.26", ""}, {"3.5.30", ""},
		{"3.6.0", "3.6.14"}, {"3.6.13", "3.6.14"}, {"3.6.14", ""},
		{"3.7.0", "3.7.1"}, {"3.7.1-rc.0", "3.7.1"}, {"3.7.1", ""}, {"3.7.3", ""}, {"3.8.0", ""}, {"4.0.0", ""},
		{"2.3.8", "3.5.26"}, {"", "3.5.26"}, {"not a version", "3.5.26"},
	} {
		err := checkVersion("http://etcd:2379", c.version)
		var old *OldServerError
		if c.needed == "" {
			if err != nil {
				t.Errorf("version %q: %v", c.version, err)
			}
			continue
		}
		if !errors.As(err, &old) || old.Needed != c.needed || old.Version != c.version ||
			old.Endpoint != "http://etcd:2379" || !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("version %q: %v, want %s to be needed", c.version, err, c.needed)
		}
	}
}

func TestConfigReportsAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), Config{
		Endpoints:   []string{"etcd", "ftp://etcd:2379", "http://user@etcd:2379", "https://etcd:2379/x"},
		DialTimeout: -1, RequestTimeout: -2, MaxOps: -3, MaxBytes: -4, InFlight: -5,
		CertFile: "cert", Username: "user",
	})
	if !errors.Is(err, grapnel.ErrInvalid) {
		t.Fatalf("open: %v", err)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("not several errors: %v", err)
	}
	all := fmt.Sprint(joined.Unwrap())
	for _, want := range []string{
		`"etcd": host:port`, "with and without TLS", `scheme "ftp"`, "http://user@", "2379/x", "dial time-out", "request time-out",
		"-3 operations", "-4 bytes", "-5 requests", "key file", "password",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in %s", want, all)
		}
	}
	if _, err := Open(t.Context(), Config{}); !errors.Is(err, grapnel.ErrInvalid) {
		t.Errorf("open without endpoints: %v", err)
	}
	for _, e := range []string{"etcd:2379", "http://[::1]:2379", "https://etcd.example:443", "unix:///run/etcd.sock"} {
		if err := checkEndpoint(e); err != nil {
			t.Errorf("endpoint %s: %v", e, err)
		}
	}
}
