// Package local runs all of Grapnel in one process: etcd, a coordinator and a
// worker. It is for first steps, tests and tools. Programs that grow keep their
// workflows and tasks as they are and only wire them differently.
//
// [Run] runs one workflow to its end. [Open] keeps a cluster up for any number
// of them.
//
// What Run and Open write is as durable as the folder it is in: with
// [Config.Dir] it survives the process, and the machine's crash too. Without it
// everything is gone at the end. One member of etcd on one disk is no protection
// against losing the disk.
package local
