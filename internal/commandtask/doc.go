// Package commandtask runs commands as tasks: a program with arguments, or a line
// of shell. It needs no Go of the user; the worker command serves it when it is
// told to allow commands.
//
// # An attempt
//
//	input ─▶ checked ─▶ folder made ─▶ started ─▶ ended by itself ─────▶ group killed ─▶ outputs read ─▶ folder removed
//	                                     │                                   ▲
//	                                     └─ time-out, cancel, loss, drain: ──┘
//	                                        SIGTERM to the group, SIGKILL after a grace
//
// Each attempt has a folder of its own, in which the command starts, and a
// process group of its own. However an attempt ends, what is left of its group is
// killed and its folder is removed, before the slot is free again. A process that
// leaves the group, by making a session of its own, gets away; it does not hold
// the attempt up, even if it keeps the command's output open.
//
// # When the worker dies
//
// A guard, a small process that the worker starts, kills the groups and removes
// the folders once it sees the worker gone. On Linux it also finds what belongs to
// no group that it was told of, and the kernel kills the command itself besides.
// What a guard that was killed, too, leaves behind, the next
// worker with the same root removes: each worker holds a lock in its folder for
// as long as it or its guard lives, so a folder whose lock is free is nobody's.
//
// # Environment
//
// A command gets PATH, HOME, LANG and TZ of the worker, what [Config].PassEnv
// names, TMPDIR in the attempt's folder, the input's Env and Secrets, and what
// tells it about itself: GRAPNEL_RUN_ID, GRAPNEL_WORKFLOW, GRAPNEL_NODE,
// GRAPNEL_NODE_KEY, GRAPNEL_ATTEMPT, GRAPNEL_FENCE, GRAPNEL_IDEMPOTENCY_KEY and
// GRAPNEL_HEARTBEAT. Nothing else of the worker's environment gets through.
//
// # What is not promised
//
// A command may be run more than once, and for a while twice at the same time,
// like any task. It runs as the worker's user, with all that this user may do:
// allow commands only where those who may start runs may do that, too.
package commandtask
