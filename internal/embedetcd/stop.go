package embedetcd

import (
	"sync"
	"time"

	"google.golang.org/grpc"
)

// grace is how long requests may go on when the server is closed.
const grace = 100 * time.Millisecond

// rpcServers are etcd's gRPC servers, which it makes when it is ready. Left to
// itself it waits, when it is closed, some seconds for each open watch to end.
type rpcServers struct {
	mu      sync.Mutex
	servers []*grpc.Server // guarded by mu
}

func (r *rpcServers) add(s *grpc.Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.servers = append(r.servers, s)
}

// stop ends all connections.
func (r *rpcServers) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, s := range r.servers {
		wg.Go(func() {
			cut := time.AfterFunc(grace, s.Stop)
			defer cut.Stop()
			s.GracefulStop()
		})
	}
}
