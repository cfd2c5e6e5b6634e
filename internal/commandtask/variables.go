package commandtask

// Variables that tell a command about itself.
const (
	envRun       = "GRAPNEL_RUN_ID"
	envWorkflow  = "GRAPNEL_WORKFLOW"
	envNode      = "GRAPNEL_NODE"
	envNodeKey   = "GRAPNEL_NODE_KEY"
	envAttempt   = "GRAPNEL_ATTEMPT"
	envFence     = "GRAPNEL_FENCE"
	envKey       = "GRAPNEL_IDEMPOTENCY_KEY"
	envHeartbeat = HeartbeatVariable
	envTemp      = "TMPDIR"
)

// isReserved reports whether only the worker sets a variable.
func isReserved(name string) bool {
	switch name {
	case envRun, envWorkflow, envNode, envNodeKey, envAttempt, envFence, envKey, envHeartbeat, envTemp:
		return true
	}
	return false
}
