package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/grapnel-dev/grapnel"
)

const (
	// variablePrefix is what the environment variables of settings begin with.
	variablePrefix = "GRAPNEL_"
	// configFlag names the file of settings; it is no setting itself.
	configFlag = "config"
	// sectionAnnotation marks the flags that are settings, with their section.
	sectionAnnotation = "grapnel_settings_section"
	// delimiter stands between a section and the name of a setting.
	delimiter = "."
)

// Origin is where the value of a setting came from.
type Origin string

// Origins, the strongest first.
const (
	FromFlag     Origin = "flag"
	FromVariable Origin = "variable"
	FromFile     Origin = "file"
	FromDefault  Origin = "default"
)

// Setting is a setting with its value.
type Setting struct {
	// Key is its name in a file: that of the flag, behind the section's and a
	// dot if it is in one.
	Key   string `json:"key"`
	Value string `json:"value"`
	// Origin is where the value came from, Place where that is: the flag, the
	// variable, or the file and line.
	Origin Origin `json:"origin"`
	Place  string `json:"place,omitempty"`
}

// Settings are the values of all settings, those of other commands included, as
// a command found them.
type Settings struct {
	// File is the file that was read; empty if there was none.
	File string
	// List is in the order of the documentation.
	List []Setting
}

// AsSettings makes flags of fs settings, those named or, without names, all that
// are none yet: what the command line leaves open is taken from the environment
// and from a file. Section is where they are in a file; empty is the top.
func AsSettings(fs *pflag.FlagSet, section string, names ...string) {
	fs.VisitAll(func(f *pflag.Flag) {
		wanted := slices.Contains(names, f.Name) || len(names) == 0 && f.Annotations[sectionAnnotation] == nil
		if !wanted || f.Name == configFlag {
			return
		}
		if f.Annotations == nil {
			f.Annotations = map[string][]string{}
		}
		f.Annotations[sectionAnnotation] = []string{section}
	})
}

// settingKey returns the key of a flag that is a setting.
func settingKey(f *pflag.Flag) (key string, ok bool) {
	section := f.Annotations[sectionAnnotation]
	if len(section) == 0 {
		return "", false
	}
	if section[0] == "" {
		return f.Name, true
	}
	return section[0] + delimiter + f.Name, true
}

// schema has all settings that there are, by key: flags that no command uses.
type schema struct {
	keys  []string
	flags map[string]*pflag.Flag
}

func newSchema() *schema {
	s := &schema{flags: map[string]*pflag.Flag{}}
	top, worker, coordinator := newFlagSet(), newFlagSet(), newFlagSet()
	(&Connection{}).Register(top, DefaultLogLevel)
	RegisterOutput(top, new(string))
	(&Worker{}).Register(worker)
	(&StandardTasks{}).Register(worker)
	(&Coordinator{}).Register(coordinator)
	for _, fs := range []*pflag.FlagSet{top, worker, coordinator} {
		fs.VisitAll(func(f *pflag.Flag) {
			if key, ok := settingKey(f); ok {
				s.keys = append(s.keys, key)
				s.flags[key] = f
			}
		})
	}
	return s
}

func newFlagSet() *pflag.FlagSet {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.SortFlags = false
	return fs
}

// variable returns the name of the environment variable of a setting.
func variable(key string) string {
	return variablePrefix + strings.ToUpper(strings.NewReplacer("-", "_", delimiter, "_").Replace(key))
}

// layers is where settings are looked for.
type layers struct {
	schema *schema
	env    *koanf.Koanf
	file   *koanf.Koanf
	path   string         // of the file that was read, or empty
	lines  map[string]int // of the file, by key
}

// readLayers reads the environment and the file: the one that the flag or the
// variable names, or else the user's, if that is there.
func readLayers(fs *pflag.FlagSet, environ []string, userFile string) (*layers, error) {
	l := &layers{schema: newSchema(), env: koanf.New(delimiter), file: koanf.New(delimiter)}
	keys := map[string]string{}
	for _, key := range l.schema.keys {
		keys[variable(key)] = key
	}
	named := ""
	err := l.env.Load(env.Provider(delimiter, env.Opt{
		Prefix:      variablePrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if name == variable(configFlag) {
				named = value
			}
			if value == "" {
				return "", nil
			}
			return keys[name], value // others are not ours to judge
		},
	}), nil)
	if err != nil {
		return nil, fmt.Errorf("read settings from the environment: %w", err)
	}
	if f := fs.Lookup(configFlag); f != nil && f.Changed {
		named = f.Value.String()
	}
	l.path = named
	if named == "" {
		l.path = userFile
	}
	if l.path == "" {
		return l, nil
	}
	data, err := os.ReadFile(l.path)
	switch {
	case err == nil:
	case named == "" && errors.Is(err, os.ErrNotExist):
		l.path = ""
		return l, nil
	default:
		return nil, fmt.Errorf("%w: settings: %w", grapnel.ErrInvalid, err)
	}
	parser := &settingsParser{file: l.path, schema: l.schema, lines: map[string]int{}}
	l.lines = parser.lines
	return l, l.file.Load(content(data), parser)
}

// UserSettingsFile returns the file of settings that is read if no other is
// named: grapnel/config.yaml in the user's folder of settings, which the system
// decides, such as ~/.config. It is empty if there is no such folder.
func UserSettingsFile() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "grapnel", "config.yaml")
}

// loadSettings sets those flags of fs that are settings and that the command
// line left alone from the environment or else the file, and returns all
// settings. Errors wrap [grapnel.ErrInvalid].
func loadSettings(fs *pflag.FlagSet, environ []string, userFile string) (*Settings, error) {
	l, err := readLayers(fs, environ, userFile)
	if err != nil {
		return nil, err
	}
	own := map[string]*pflag.Flag{}
	fs.VisitAll(func(f *pflag.Flag) {
		if key, ok := settingKey(f); ok {
			own[key] = f
		}
	})
	found := &Settings{File: l.path}
	var errs []error
	for _, key := range l.schema.keys {
		f := own[key]
		if f == nil {
			f = l.schema.flags[key]
		}
		s, err := l.settle(key, f)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found.List = append(found.List, s)
	}
	return found, errors.Join(errs...)
}

// settle gives a flag its value, unless the command line did.
func (l *layers) settle(key string, f *pflag.Flag) (Setting, error) {
	s := Setting{Key: key, Origin: FromDefault}
	switch {
	case f.Changed && f != l.schema.flags[key]:
		s.Origin, s.Place = FromFlag, "--"+f.Name
	case l.env.Exists(key):
		s.Origin, s.Place = FromVariable, variable(key)
		if err := setFlag(f, l.env.Get(key)); err != nil {
			return s, fmt.Errorf("%w: environment variable %s: %w", grapnel.ErrInvalid, s.Place, err)
		}
	case l.file.Exists(key):
		s.Origin, s.Place = FromFile, fmt.Sprintf("%s:%d", l.path, l.lines[key])
		if err := setFlag(f, l.file.Get(key)); err != nil {
			return s, fmt.Errorf("%w: %s: %s: %w", grapnel.ErrInvalid, s.Place, key, err)
		}
	}
	s.Value = shown(f)
	return s, nil
}

// setFlag gives a flag the value of a layer: a text, or texts.
func setFlag(f *pflag.Flag, value any) error {
	f.Changed = true // also to those who ask whether the user said something
	texts, several := value.([]string)
	if !several {
		return f.Value.Set(fmt.Sprint(value))
	}
	list, ok := f.Value.(pflag.SliceValue)
	if !ok {
		return errors.New("is one value, not a list")
	}
	return list.Replace(texts)
}

// isSecret reports whether a flag's value must not be shown.
func isSecret(f *pflag.Flag) bool { return f.Name == "password" }

// shown returns the value of a flag for people.
func shown(f *pflag.Flag) string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return strings.Join(list.GetSlice(), ",")
	}
	value := f.Value.String()
	if isSecret(f) && value != "" {
		return "********"
	}
	return value
}
