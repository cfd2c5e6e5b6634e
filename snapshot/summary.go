package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

// ErrNewerFormat: the bytes were written by a newer version, in a format that
// this one does not know. They are left alone.
var ErrNewerFormat = errors.New("snapshot: written in a newer format")

const (
	formatVersion = 1
	summarySize   = 16
)

const (
	flagReady    = 1 << iota // a node is ready, now or once its time has come
	flagFinished             // nothing is left but to end the run
)

// Summary is the fixed-size beginning of a head. It lets a reader of many runs
// skip those that want nothing.
type Summary struct {
	Status grapnel.RunStatus
	// Ready is set when some node is ready as far as the graph is concerned.
	Ready bool
	// Finished is set when the run has nothing left to do but to end.
	Finished bool
	// Priority is 1 (first) to 5.
	Priority int
	// QueueHash is the FNV-1a hash of the workflow's queue.
	QueueHash uint32
	// Deadline is when the run times out, or zero.
	Deadline workflow.Moment
}

// Layout, in bytes: 0 format, 1 status, 2 flags, 3 priority, 4–7 queue hash,
// 8–15 deadline; numbers are big-endian.
func (s Summary) append(b []byte) []byte {
	var flags byte
	if s.Ready {
		flags |= flagReady
	}
	if s.Finished {
		flags |= flagFinished
	}
	b = append(b, formatVersion, byte(s.Status), flags, byte(s.Priority))
	b = binary.BigEndian.AppendUint32(b, s.QueueHash)
	return binary.BigEndian.AppendUint64(b, uint64(s.Deadline))
}

// DecodeSummary reads the beginning of a head's value. Errors are
// [ErrNewerFormat] and [grapnel.ErrCorrupt].
func DecodeSummary(value []byte) (Summary, error) {
	if len(value) > 0 && value[0] > formatVersion {
		return Summary{}, fmt.Errorf("%w: format %d", ErrNewerFormat, value[0])
	}
	if len(value) < summarySize || value[0] != formatVersion {
		return Summary{}, fmt.Errorf("%w: %d bytes do not begin with a head's summary", grapnel.ErrCorrupt, len(value))
	}
	s := Summary{
		Status:    grapnel.RunStatus(value[1]),
		Ready:     value[2]&flagReady != 0,
		Finished:  value[2]&flagFinished != 0,
		Priority:  int(value[3]),
		QueueHash: binary.BigEndian.Uint32(value[4:]),
		Deadline:  workflow.Moment(binary.BigEndian.Uint64(value[8:])),
	}
	if s.Status < grapnel.RunRunning || s.Status > grapnel.RunTimedOut {
		return Summary{}, fmt.Errorf("%w: a head's summary has status %d", grapnel.ErrCorrupt, value[1])
	}
	return s, nil
}

func queueHash(queue string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(queue))
	return h.Sum32()
}
