package main

import "github.com/spf13/cobra"

// commands makes all commands, each of which has a file of its own.
var commands = []func(*app) *cobra.Command{
	newInit,
	newDev,
	newStart,
	newGet,
	newList,
	newWait,
	newGraph,
	newWatch,
	newTop,
	newCancel,
	newRetry,
	newDelete,
	newTasks,
	newWorkers,
	newCoordinator,
	newWorker,
	newGuard,
	newHeartbeat,
	newRun,
	newGen,
	newRole,
	newConfig,
	newVersion,
}
