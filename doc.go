// Package grapnel is the vocabulary of Grapnel, durable workflows on a fleet
// of workers with etcd as the only state: ids, statuses and the errors that
// every other package returns.
//
// Programs rarely use this package alone. They author graphs with package
// workflow, run tasks with package worker, start and watch runs with package
// client, or do all of it in one process with package local.
package grapnel
