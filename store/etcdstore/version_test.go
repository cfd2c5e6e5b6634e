package etcdstore

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/grapnel-dev/grapnel"
)

// oldServer answers what Open asks, as an etcd of some version.
type oldServer struct {
	pb.UnimplementedKVServer
	pb.UnimplementedMaintenanceServer
	version string
}

func (*oldServer) Range(context.Context, *pb.RangeRequest) (*pb.RangeResponse, error) {
	return &pb.RangeResponse{Header: &pb.ResponseHeader{ClusterId: 1, Revision: 1}}, nil
}

func (s *oldServer) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	return &pb.StatusResponse{Header: &pb.ResponseHeader{ClusterId: 1, Revision: 1}, Version: s.version}, nil
}

// serveVersion runs a server that says it has a version.
func serveVersion(t *testing.T, version string) (endpoint string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g, s := grpc.NewServer(), &oldServer{version: version}
	pb.RegisterKVServer(g, s)
	pb.RegisterMaintenanceServer(g, s)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func TestOpenRefusesOldServers(t *testing.T) {
	t.Parallel()
	current, old := serveVersion(t, "3.6.14"), serveVersion(t, "3.6.13")
	cfg := Config{Endpoints: []string{current, old}}
	_, err := Open(t.Context(), cfg)
	var refused *OldServerError
	if !errors.As(err, &refused) || refused.Endpoint != old || refused.Needed != "3.6.14" {
		t.Fatalf("open: %v, want %s to be refused", err, old)
	}
	if errors.Is(err, grapnel.ErrUnavailable) {
		t.Errorf("%v says that trying again helps", err)
	}

	var log strings.Builder
	cfg.AllowOldServers, cfg.Logger = true, hclog.New(&hclog.LoggerOptions{Output: &log})
	st, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if !strings.Contains(log.String(), old) || strings.Contains(log.String(), current) {
		t.Errorf("warned of: %s", log.String())
	}
}
