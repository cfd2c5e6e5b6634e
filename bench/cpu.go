package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processors is the processor time used since the start: by this process, which
// is the clients and all roles, and by etcd.
type processors struct{ own, etcd time.Duration }

func (p processors) sub(o processors) processors { return processors{p.own - o.own, p.etcd - o.etcd} }

// per returns the microseconds used for each of n things done.
func (p processors) per(n int64) perOperation {
	if n == 0 {
		return perOperation{}
	}
	return perOperation{Own: micros(p.own) / float64(n), Etcd: micros(p.etcd) / float64(n)}
}

// perOperation is microseconds of processor time for one of something. Unlike a
// rate it says little about what else the machine was doing.
type perOperation struct {
	Own  float64 `json:"own_us"`
	Etcd float64 `json:"etcd_us"`
}

func (p perOperation) total() float64 { return p.Own + p.Etcd }

func (p perOperation) String() string {
	return fmt.Sprintf("%4.0f µs (%.0f own, %.0f etcd)", p.total(), p.Own, p.Etcd)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// used reads how much processor time this process and that of etcd have used.
// Where the system does not tell about other processes, etcd's is zero.
func used(etcd int) processors {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return processors{}
	}
	return processors{own: time.Duration(r.Utime.Nano() + r.Stime.Nano()), etcd: usedBy(etcd)}
}

// usedBy reads Linux' /proc, in which times are in hundredths of a second.
func usedBy(pid int) time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(data), ") ") // the name before it may have spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	var ticks int64
	for _, f := range fields[11:13] { // user and system time
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}
