// Package wfrun runs a workflow as a fleet would: on worker processes of its own,
// some of which it kills on the way, and audits afterwards what the store's
// history says of it. The workflow is a recorded one, whose tasks sleep, or any
// definition, whose tasks the caller of [Serve] brings along.
//
// # Processes
//
// [Run] starts this very binary again in the roles of etcd, coordinator and
// worker (see [Serve]), each as a process of its own:
//
//	grapnel run ──┬── role etcd          unless endpoints are given
//	              ├── role coordinator   one; two if coordinators are killed
//	              └── role worker        as many as asked for
//
// A child's standard input is a pipe that brings its settings and then nothing.
// The child stops when it reaches the pipe's end, which closing it brings about,
// and so does the parent's death by whatever cause; on Linux the kernel then kills
// workers and coordinators besides. Run returns only once each child has been
// waited for.
//
// # Kills
//
// The seed decides how many nodes are to have completed before each kill, spread
// over the first three quarters of the run, and which of the workers that then
// hold a claim is killed. A claim is seen by a watch, which lags, so the worker
// may be through with it when SIGKILL arrives. Therefore the claims of a killed
// worker are looked up afterwards, once no request of its can be on its way any
// more and before its lease can have run out: a kill that hit no claim is
// reported as missed and made up for by another. Of the coordinators the one is
// killed that owns the run's shard. Each killed process is replaced by a new one.
//
// A run that ends before all kills could be made was killed less often, and the
// report says so.
//
// # What is not promised
//
// The same seed gives the same plan, not the same history: what is running when
// a kill comes due depends on the machine.
package wfrun
