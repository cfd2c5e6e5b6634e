package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// Names of the files that [Report.Write] writes.
const (
	JSONFile = "report.json"
	HTMLFile = "report.html"
)

// File is a file that was written.
type File struct {
	Name   string `json:"name"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Write writes the report into a folder, which it makes if need be. Each file is
// there as a whole or not at all, so it does no harm to write them again, or to
// be killed meanwhile.
func (r *Report) Write(dir string) ([]File, error) {
	data, err := r.JSON()
	if err != nil {
		return nil, err
	}
	page, err := r.HTML()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("write the report: %w", err)
	}
	var files []File
	for _, f := range []struct {
		name string
		data []byte
	}{{JSONFile, data}, {HTMLFile, page}} {
		if err := replace(filepath.Join(dir, f.name), f.data); err != nil {
			return nil, fmt.Errorf("write the report: %w", err)
		}
		sum := sha256.Sum256(f.data)
		files = append(files, File{Name: f.name, Bytes: len(f.data), SHA256: hex.EncodeToString(sum[:])})
	}
	return files, nil
}

// replace puts data at path in one step.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), tempPattern)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone by then, unless something fails
	_, err = f.Write(data)
	for _, step := range []func() error{f.Sync, func() error { return f.Chmod(0o644) }, f.Close} {
		if next := step(); err == nil {
			err = next
		}
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

const tempPattern = ".report-*.tmp"

// Clean removes what a [Report.Write] that was killed may have left in a folder.
// Nobody may be writing there.
func Clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("clean up after the report: %w", err)
	}
	for _, entry := range entries {
		if ours, _ := filepath.Match(tempPattern, entry.Name()); !ours {
			continue
		}
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("clean up after the report: %w", err)
		}
	}
	return nil
}
