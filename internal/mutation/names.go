package mutation

// Name is the name of one switch, as written in GRAPNEL_MUTATION and in
// catalog.txt.
type Name string

// Variable is the environment variable that a build with the tag "mutation"
// takes the active switch from.
const Variable = "GRAPNEL_MUTATION"

// Starting a run.
const (
	// StartWithoutTombstone starts a run whose deletion left a tombstone of the
	// same start.
	StartWithoutTombstone Name = "StartWithoutTombstone"
	// StartWithoutOperation does not recognise a resent start by its operation.
	StartWithoutOperation Name = "StartWithoutOperation"
)

// Claiming a node.
const (
	// ClaimWithoutAbsent claims a node that is claimed already.
	ClaimWithoutAbsent Name = "ClaimWithoutAbsent"
	// ClaimWithoutSession claims without comparing the worker's session key, so
	// that rewriting the key voids no claim that is still on its way.
	ClaimWithoutSession Name = "ClaimWithoutSession"
	// ClaimWithoutInstance claims a node of a run that has taken the id of the
	// run that was offered.
	ClaimWithoutInstance Name = "ClaimWithoutInstance"
	// ClaimWithoutCover claims a node that another node's live claim covers.
	ClaimWithoutCover Name = "ClaimWithoutCover"
	// ClaimResendAbsent sends a claim of unknown outcome again as it was.
	ClaimResendAbsent Name = "ClaimResendAbsent"
	// TrustExpiredLease goes on working after the session's lease can no longer
	// be trusted.
	TrustExpiredLease Name = "TrustExpiredLease"
)

// Committing under a claim.
const (
	// CommitWithoutFence commits without comparing the claim's create revision.
	CommitWithoutFence Name = "CommitWithoutFence"
	// CommitWithoutHead commits without comparing the head's mod revision.
	CommitWithoutHead Name = "CommitWithoutHead"
	// CommitForgetsFence leaves the fence out of a node's last outcome, so that
	// a writer does not know its own commit again.
	CommitForgetsFence Name = "CommitForgetsFence"
	// PlainPutOnClaim writes a claim without naming its lease, which detaches it.
	PlainPutOnClaim Name = "PlainPutOnClaim"
	// HeartbeatWithoutFence writes progress without comparing the fence, so that
	// a late heartbeat brings a claim back.
	HeartbeatWithoutFence Name = "HeartbeatWithoutFence"
	// ReleaseWithoutHead deletes a claim deliberately without writing the head.
	ReleaseWithoutHead Name = "ReleaseWithoutHead"
)

// Losses.
const (
	// LossCountedTwice counts one lost claim once for each owner that sees it.
	LossCountedTwice Name = "LossCountedTwice"
	// LossWaitsForClaim leaves a loss uncounted for as long as its node is
	// claimed again.
	LossWaitsForClaim Name = "LossWaitsForClaim"
	// LossRenumbersAttempt discards the failure of an attempt that began before
	// the loss of an earlier claim was counted.
	LossRenumbersAttempt Name = "LossRenumbersAttempt"
	// LossOfLaterHead counts a loss for what its claim would be the right to by
	// the head of today, not by that as of the loss.
	LossOfLaterHead Name = "LossOfLaterHead"
	// OfferBeforeLoss offers a lost node before its loss is committed.
	OfferBeforeLoss Name = "OfferBeforeLoss"
)

// Coordinators.
const (
	// CoordinatorWithoutShard writes to a run without comparing the shard key.
	CoordinatorWithoutShard Name = "CoordinatorWithoutShard"
	// IgnoreCompaction goes on with a compacted watch and does not list again.
	IgnoreCompaction Name = "IgnoreCompaction"
)

// Events, cancellation and the end of a run.
const (
	// FoldWithoutMarker folds an event and leaves no marker behind.
	FoldWithoutMarker Name = "FoldWithoutMarker"
	// EndOverEvents ends a run without guarding that its mailbox is empty.
	EndOverEvents Name = "EndOverEvents"
	// EndKeepsClaims ends a run and leaves its claims in the store.
	EndKeepsClaims Name = "EndKeepsClaims"
	// CancelStillStarts lets attempts start after a cancel has committed.
	CancelStillStarts Name = "CancelStillStarts"
)

// Time-outs, unknown outcomes and chains.
const (
	// DeadlineByWorkerAlone leaves start-to-close time-outs to workers.
	DeadlineByWorkerAlone Name = "DeadlineByWorkerAlone"
	// UnknownMeansFailed takes a commit that was not answered for one that was
	// not applied.
	UnknownMeansFailed Name = "UnknownMeansFailed"
	// DeleteWithoutTombstone deletes a run and leaves nothing to recognise its
	// start by.
	DeleteWithoutTombstone Name = "DeleteWithoutTombstone"
	// ChainWithoutCover goes on with the next node of a chain without recording
	// which claim covers it.
	ChainWithoutCover Name = "ChainWithoutCover"
	// ChainOverClaim goes on with a node of a limited map that another worker has
	// claimed already.
	ChainOverClaim Name = "ChainOverClaim"
)

// Group commit.
const (
	// GroupCommitMixes puts pieces into one request that touch each other's keys.
	GroupCommitMixes Name = "GroupCommitMixes"
	// GroupCommitSharesErrors hands one piece's error to its neighbours.
	GroupCommitSharesErrors Name = "GroupCommitSharesErrors"
)

// The state machine.
const (
	// JoinIgnoresNeed makes a node available before all that it needs has ended.
	JoinIgnoresNeed Name = "JoinIgnoresNeed"
)
