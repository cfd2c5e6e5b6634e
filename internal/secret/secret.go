package secret

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/grapnel-dev/grapnel"
)

// Limits of a value, in bytes.
const (
	MinLength = 4
	MaxLength = 64 << 10
)

// AnyName, in [Policy].Env, stands for all environment variables.
const AnyName = "*"

// Secret says where a worker finds a value: in one of the two places.
type Secret struct {
	// Env is the name of one of the worker's environment variables.
	Env string `json:"env,omitempty"`
	// File is the absolute path of a file on the worker's machine. One line
	// break at its end does not belong to the value.
	File string `json:"file,omitempty"`
}

func (s Secret) String() string {
	if s.Env != "" {
		return "environment variable " + s.Env
	}
	return "file " + s.File
}

// Policy says what a worker gives away. The zero Policy allows nothing.
type Policy struct {
	// Env names environment variables; [AnyName] allows all.
	Env []string
	// Dirs are folders: files in them or below are allowed, once all symbolic
	// links are resolved.
	Dirs []string
}

// Check returns what is wrong with the policy itself, or nil. The error wraps
// [grapnel.ErrInvalid].
func (p Policy) Check() error {
	var errs []error
	for _, name := range p.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			errs = append(errs, fmt.Errorf("%w: %q is no name of an environment variable", grapnel.ErrInvalid, name))
		}
	}
	for _, dir := range p.Dirs {
		if info, err := os.Stat(dir); err != nil {
			errs = append(errs, fmt.Errorf("%w: folder of secrets: %w", grapnel.ErrInvalid, err))
		} else if !info.IsDir() {
			errs = append(errs, fmt.Errorf("%w: folder of secrets: %s is not a folder", grapnel.ErrInvalid, dir))
		}
	}
	return errors.Join(errs...)
}

// Resolve returns the value. Its errors never contain it. They wrap
// [grapnel.ErrInvalid] and say what to do about it.
func (p Policy) Resolve(s Secret) (string, error) {
	switch {
	case s.Env == "" && s.File == "":
		return "", fmt.Errorf("%w: neither env nor file says where the secret is", grapnel.ErrInvalid)
	case s.Env != "" && s.File != "":
		return "", fmt.Errorf("%w: both env and file are given for one secret", grapnel.ErrInvalid)
	case s.Env != "":
		return p.fromEnv(s)
	}
	return p.fromFile(s)
}

func (p Policy) fromEnv(s Secret) (string, error) {
	if !slices.Contains(p.Env, s.Env) && !slices.Contains(p.Env, AnyName) {
		return "", fmt.Errorf("%w: this worker does not give away %v; start it with --secret-env %s", grapnel.ErrInvalid, s, s.Env)
	}
	value, ok := os.LookupEnv(s.Env)
	if !ok {
		return "", fmt.Errorf("%w: %v is not set where the worker runs", grapnel.ErrInvalid, s)
	}
	return value, checkValue(s, value)
}

func (p Policy) fromFile(s Secret) (string, error) {
	if !filepath.IsAbs(s.File) {
		return "", fmt.Errorf("%w: %v: the path must be absolute", grapnel.ErrInvalid, s)
	}
	if len(p.Dirs) == 0 {
		return "", fmt.Errorf("%w: this worker gives away no files; start it with --secret-dir %s", grapnel.ErrInvalid, filepath.Dir(s.File))
	}
	real, err := filepath.EvalSymlinks(s.File)
	if err != nil {
		// Whether a file outside of the folders exists is nobody's business.
		if !p.allows(filepath.Clean(s.File)) {
			return "", p.outside(s)
		}
		return "", fmt.Errorf("%w: %v: %w", grapnel.ErrInvalid, s, err)
	}
	if !p.allows(real) {
		return "", p.outside(s)
	}
	value, err := readSmall(real)
	if err != nil {
		return "", fmt.Errorf("%w: %v: %w", grapnel.ErrInvalid, s, err)
	}
	value = strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r")
	return value, checkValue(s, value)
}

func (p Policy) outside(s Secret) error {
	return fmt.Errorf("%w: %v is outside of the folders whose files this worker gives away: %s (--secret-dir)",
		grapnel.ErrInvalid, s, strings.Join(p.Dirs, ", "))
}

// allows reports whether a path lies in one of the folders.
func (p Policy) allows(path string) bool {
	return slices.ContainsFunc(p.Dirs, func(dir string) bool {
		for _, resolve := range []func(string) (string, error){filepath.EvalSymlinks, filepath.Abs} {
			at, err := resolve(dir)
			if err != nil {
				continue
			}
			if at, err = filepath.Abs(at); err != nil {
				continue
			}
			if rel, err := filepath.Rel(at, path); err == nil && filepath.IsLocal(rel) {
				return true
			}
		}
		return false
	})
}

// readSmall reads a regular file; of anything else, such as a pipe without a
// writer, it does not wait for the end.
func readSmall(path string) (string, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(file, MaxLength+2))
	if err != nil {
		return "", err
	}
	return string(data), nil
}

// checkValue refuses values that nobody can use as a secret.
func checkValue(s Secret, value string) error {
	switch {
	case len(value) < MinLength:
		return fmt.Errorf("%w: %v has a value of %d bytes; a secret has at least %d, or it could not be kept out of outputs", grapnel.ErrInvalid, s, len(value), MinLength)
	case len(value) > MaxLength:
		return fmt.Errorf("%w: %v has a value of more than %d bytes", grapnel.ErrInvalid, s, MaxLength)
	case strings.ContainsRune(value, 0):
		return fmt.Errorf("%w: %v has a value with a zero byte", grapnel.ErrInvalid, s)
	}
	return nil
}
