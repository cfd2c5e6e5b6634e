package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"time"
)

// figures are what a run of the benchmark prints.
type figures struct {
	Seconds      float64 `json:"seconds_per_part"`
	Clients      int     `json:"clients"`
	Workers      int     `json:"workers"`
	Slots        int     `json:"slots"`
	PutsBefore   float64 `json:"raw_puts_per_second_before"`
	PutsAfter    float64 `json:"raw_puts_per_second_after"`
	OneTask      float64 `json:"one_task_runs_per_second"`
	OneTaskRatio float64 `json:"one_task_ratio"`
	Chain        float64 `json:"chain_steps_per_second"`
	ChainRatio   float64 `json:"chain_step_ratio"`
	IdlePutMs    float64 `json:"idle_put_ms"`
	IdleOneMs    float64 `json:"idle_one_task_ms"`
	IdleOnePuts  float64 `json:"idle_one_task_puts"`
	IdleChainMs  float64 `json:"idle_chain_ms"`
	IdleStepPuts float64 `json:"idle_step_puts"`
}

func main() {
	if dir := os.Getenv(etcdDirVariable); dir != "" {
		exitOn(serveEtcd(dir))
		return
	}
	asJSON := flag.Bool("json", false, "print JSON instead of a table")
	seconds := flag.Float64("seconds", 5, "how long each part runs")
	clients := flag.Int("clients", 256, "how many puts or runs are under way at a time")
	workers := flag.Int("workers", 2, "how many worker sessions there are")
	slots := flag.Int("slots", 128, "how many tasks a worker executes at a time")
	profile := flag.String("cpuprofile", "", "write a CPU profile of this process to `file`")
	flag.Parse()
	// The live heap of the roles is a few megabytes, so by default the collector
	// would run hundreds of times a second. Putting has the same advantage.
	debug.SetGCPercent(400)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	stopProfile, err := startProfile(*profile)
	exitOn(err)
	defer stopProfile()
	f, err := measure(ctx, figures{Seconds: *seconds, Clients: *clients, Workers: *workers, Slots: *slots})
	exitOn(err)
	if *asJSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		exitOn(enc.Encode(f))
		return
	}
	f.print()
}

// startProfile begins a profile, if a file is named, and returns how to end it.
func startProfile(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		exitOn(f.Close())
	}, nil
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (f *figures) print() {
	fmt.Printf("%-44s %10.0f /s  (%.0f before, %.0f after)\n", "raw puts, 256 B", f.puts(), f.PutsBefore, f.PutsAfter)
	fmt.Printf("%-44s %10.0f /s  %6.2f × raw puts\n", "one-task runs", f.OneTask, f.OneTaskRatio)
	fmt.Printf("%-44s %10.0f /s  %6.2f × raw puts\n", "steps of ten-step chains", f.Chain, f.ChainRatio)
	fmt.Printf("%-44s %10.2f ms\n", "idle: one put", f.IdlePutMs)
	fmt.Printf("%-44s %10.2f ms  %6.1f puts\n", "idle: one-task run, start to result", f.IdleOneMs, f.IdleOnePuts)
	fmt.Printf("%-44s %10.2f ms  %6.1f puts\n", "idle: each further chained step", (f.IdleChainMs-f.IdleOneMs)/(chainSteps-1), f.IdleStepPuts)
}

func (f *figures) puts() float64 { return (f.PutsBefore + f.PutsAfter) / 2 }

func (f *figures) part() time.Duration { return time.Duration(f.Seconds * float64(time.Second)) }
