package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"time"
)

// figures are what a run of the benchmark prints.
type figures struct {
	Seconds      float64      `json:"seconds_per_part"`
	Clients      int          `json:"clients"`
	Runs         int          `json:"runs"`
	Workers      int          `json:"workers"`
	Slots        int          `json:"slots"`
	InFlight     int          `json:"in_flight"`
	PutsBefore   float64      `json:"raw_puts_per_second_before"`
	PutsAfter    float64      `json:"raw_puts_per_second_after"`
	PutCost      perOperation `json:"raw_put_cost"`
	OneTask      float64      `json:"one_task_runs_per_second"`
	OneTaskRatio float64      `json:"one_task_ratio"`
	OneTaskCost  perOperation `json:"one_task_cost"`
	Chain        float64      `json:"chain_steps_per_second"`
	ChainRatio   float64      `json:"chain_step_ratio"`
	ChainCost    perOperation `json:"chain_step_cost"`
	IdlePutMs    float64      `json:"idle_put_ms"`
	IdleOneMs    float64      `json:"idle_one_task_ms"`
	IdleOnePuts  float64      `json:"idle_one_task_puts"`
	IdleChainMs  float64      `json:"idle_chain_ms"`
	IdleStepPuts float64      `json:"idle_step_puts"`

	etcd     *etcdProcess
	profiles string // the directory for them, or empty
}

func main() {
	if dir := os.Getenv(etcdDirVariable); dir != "" {
		exitOn(serveEtcd(dir))
		return
	}
	asJSON := flag.Bool("json", false, "print JSON instead of a table")
	seconds := flag.Float64("seconds", 5, "how long each part runs")
	clients := flag.Int("clients", 256, "how many puts are under way at a time")
	runs := flag.Int("runs", 512, "how many runs are under way at a time")
	workers := flag.Int("workers", 2, "how many worker sessions there are")
	slots := flag.Int("slots", 256, "how many tasks a worker executes at a time")
	inFlight := flag.Int("in-flight", 0, "how many requests that write are under way at a time; 0 means the store's default")
	profiles := flag.String("profiles", "", "write CPU profiles of the parts under load to `directory`: PART.own.pprof and PART.etcd.pprof")
	flag.Parse()
	// The live heap of the roles is a few megabytes, so by default the collector
	// would run hundreds of times a second. Putting has the same advantage.
	debug.SetGCPercent(400)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	etcd, err := startEtcd(ctx)
	exitOn(err)
	defer etcd.stop()
	f, err := measure(ctx, figures{etcd: etcd, profiles: *profiles, Seconds: *seconds, Clients: *clients, Runs: *runs, Workers: *workers, Slots: *slots, InFlight: *inFlight})
	exitOn(err)
	if *asJSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		exitOn(enc.Encode(f))
		return
	}
	f.print()
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (f *figures) print() {
	fmt.Printf("%-36s %10.0f /s  %-16s %v\n", "raw puts, 256 B", f.puts(), fmt.Sprintf("%.0f, %.0f", f.PutsBefore, f.PutsAfter), f.PutCost)
	fmt.Printf("%-36s %10.0f /s  %6.2f × raw puts %v\n", "one-task runs", f.OneTask, f.OneTaskRatio, f.OneTaskCost)
	fmt.Printf("%-36s %10.0f /s  %6.2f × raw puts %v\n", "steps of ten-step chains", f.Chain, f.ChainRatio, f.ChainCost)
	fmt.Printf("%-36s %10.2f ms\n", "idle: one put", f.IdlePutMs)
	fmt.Printf("%-36s %10.2f ms  %6.1f puts\n", "idle: one-task run, start to result", f.IdleOneMs, f.IdleOnePuts)
	fmt.Printf("%-36s %10.2f ms  %6.1f puts\n", "idle: each further chained step", (f.IdleChainMs-f.IdleOneMs)/(chainSteps-1), f.IdleStepPuts)
}

func (f *figures) puts() float64 { return (f.PutsBefore + f.PutsAfter) / 2 }

func (f *figures) part() time.Duration { return time.Duration(f.Seconds * float64(time.Second)) }
