package execution

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"

	"github.com/grapnel-dev/grapnel"
)

// FileSink appends records to a file, one line of JSON each. Use [OpenFile]. It
// is safe for concurrent use. Several processes of one host may append to the
// same file: each line is one write at the file's end.
//
// A line that a crash or a full disk cut short is closed off, by the next write
// or the next opening, and stays behind as a line that does not decode.
type FileSink struct {
	mu   sync.Mutex
	file *os.File // guarded by mu
	torn bool     // guarded by mu; the file does not end with a line break
}

// OpenFile opens the file at path, or creates it, readable by its owner alone.
func OpenFile(path string) (*FileSink, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open file of records: %w", err)
	}
	torn, err := isTorn(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open file of records: %w", err), f.Close())
	}
	return &FileSink{file: f, torn: torn}, nil
}

func isTorn(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false, err
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, info.Size()-1); err != nil {
		return false, err
	}
	return last[0] != '\n', nil
}

// Write implements [Sink]. When it returns nil the record has been synced to
// the disk. After an error the record may be there, whole or in part.
func (s *FileSink) Write(ctx context.Context, r Record) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("write record of run %q: %w", r.Run, err)
	}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("%w: record of run %q: %w", grapnel.ErrInvalid, r.Run, err)
	}
	line = append(line, '\n')
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := s.file.Write(line)
	if n > 0 {
		s.torn = line[n-1] != '\n'
	}
	if err != nil {
		return fmt.Errorf("write record of run %q: %w", r.Run, err)
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("sync record of run %q: %w", r.Run, err)
	}
	return nil
}

// Close closes the file.
func (s *FileSink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file.Close()
}

// Read returns the records in r, which has the form that a [FileSink] writes. A
// line that does not decode gives an error that wraps [grapnel.ErrCorrupt], and
// the next line follows; any other error is r's and ends the sequence. Records
// that were written twice are returned twice.
func Read(r io.Reader) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		in := bufio.NewReader(r)
		for number := 1; ; number++ {
			line, err := in.ReadBytes('\n')
			if line = bytes.TrimSpace(line); len(line) > 0 {
				var rec Record
				var corrupt error
				if bad := json.Unmarshal(line, &rec); bad != nil {
					rec, corrupt = Record{}, fmt.Errorf("%w: record in line %d: %w", grapnel.ErrCorrupt, number, bad)
				}
				if !yield(rec, corrupt) {
					return
				}
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(Record{}, fmt.Errorf("read records: %w", err))
				}
				return
			}
		}
	}
}
