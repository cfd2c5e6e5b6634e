// Command bench measures what a durable task costs, in plain etcd puts of the
// same run: absolute figures mean little on shared machines.
//
// It runs etcd as a process of its own with fsync on, puts 256-byte values from
// 256 clients, then plays one-task runs and ten-step chains with a coordinator
// and workers in this process, and puts again. Ratios are to the mean of the two
// rates of puts.
//
//	go run ./bench            # a table
//	go run ./bench -json      # for programs
package main
