//go:build linux || darwin || freebsd || netbsd || openbsd

package commandtask

import (
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/grapnel-dev/grapnel/task"
)

// inherited are the worker's variables that each command gets, with what stands
// in for those that are not set.
var inherited = map[string]string{
	"PATH": "/usr/local/bin:/usr/bin:/bin",
	"HOME": "/",
	"LANG": "C.UTF-8",
	"TZ":   "",
}

// environ returns a command's environment.
func (r *Runner) environ(info task.Info, in *Input, secrets map[string]string, a *attempt) map[string]string {
	env := map[string]string{}
	for name, otherwise := range inherited {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		} else if otherwise != "" {
			env[name] = otherwise
		}
	}
	for _, name := range r.cfg.PassEnv {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	maps.Copy(env, in.Env)
	maps.Copy(env, secrets)
	maps.Copy(env, map[string]string{
		envRun: string(info.Run), envWorkflow: info.Workflow, envNode: info.NodeName, envNodeKey: string(info.Node),
		envAttempt: strconv.Itoa(info.Attempt), envFence: strconv.FormatInt(int64(info.Fence), 10),
		envKey: info.IdempotencyKey, envHeartbeat: a.heartbeat, envTemp: a.temp,
	})
	return env
}

// pairs returns an environment as package exec takes it.
func pairs(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}
