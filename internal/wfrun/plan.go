package wfrun

import "math/rand/v2"

// role is what a process is.
type role string

const (
	roleEtcd        role = "etcd"
	roleCoordinator role = "coordinator"
	roleWorker      role = "worker"
)

// strike is a kill that is to be made.
type strike struct {
	// after is how many nodes have to have completed before.
	after int
	role  role
}

// plan draws the kills of a run of so many nodes, in the order in which they are
// due. Each has its own part of the first three quarters of the run and a random
// place in it: late enough that work is under way, early enough that the run
// goes on for a while after the last one.
func plan(nodes, workers, coordinators int, random *rand.Rand) []strike {
	strikes := make([]strike, 0, workers+coordinators)
	for range workers {
		strikes = append(strikes, strike{role: roleWorker})
	}
	for range coordinators {
		strikes = append(strikes, strike{role: roleCoordinator})
	}
	random.Shuffle(len(strikes), func(i, j int) { strikes[i], strikes[j] = strikes[j], strikes[i] })
	const span = 0.75
	part := span * float64(nodes) / float64(max(len(strikes), 1))
	for i := range strikes {
		strikes[i].after = int(part * (float64(i) + random.Float64()))
	}
	return strikes
}
