package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// profiled calls do, with CPU profiles of this process and of etcd if they were
// asked for.
func (f *figures) profiled(part string, do func() error) error {
	if f.profiles == "" {
		return do()
	}
	own, err := os.Create(filepath.Join(f.profiles, part+".own.pprof"))
	if err != nil {
		return err
	}
	if err := f.etcd.profile(filepath.Join(f.profiles, part+".etcd.pprof")); err != nil {
		return errors.Join(err, own.Close())
	}
	if err := pprof.StartCPUProfile(own); err != nil {
		return errors.Join(err, own.Close())
	}
	err = do()
	pprof.StopCPUProfile()
	return errors.Join(err, f.etcd.profile(""), own.Close())
}

// profile has etcd begin to write a profile to a file, or, if that is empty, end
// the one it writes.
func (p *etcdProcess) profile(file string) error {
	if _, err := fmt.Fprintln(p.in, file); err != nil {
		return fmt.Errorf("profile etcd: %w", err)
	}
	return nil
}

// serveProfiles is the other side of [etcdProcess.profile]. It ends with the
// input.
func serveProfiles(in *bufio.Scanner) error {
	stop := func() error { return nil }
	for in.Scan() {
		if err := stop(); err != nil {
			return err
		}
		stop = func() error { return nil }
		if in.Text() == "" {
			continue
		}
		out, err := os.Create(in.Text())
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(out); err != nil {
			return errors.Join(err, out.Close())
		}
		stop = func() error {
			pprof.StopCPUProfile()
			return out.Close()
		}
	}
	return errors.Join(in.Err(), stop())
}
