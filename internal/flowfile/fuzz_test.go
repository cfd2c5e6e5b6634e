package flowfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel/internal/flowfile"
)

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/wrong/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			if len(data) < 4<<10 {
				f.Add(data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := flowfile.Parse("fuzz.yaml", data)
		if err == nil {
			def, err := file.Definition()
			if err != nil || def.Hash() == "" {
				t.Fatalf("definition of a right file: %v, %v", def, err)
			}
			return
		}
		var all *flowfile.Errors
		if !errors.As(err, &all) || len(all.Problems) == 0 {
			t.Fatalf("error %v", err)
		}
		text := strings.TrimPrefix(string(data), "\ufeff")
		for _, p := range all.Problems {
			if !inside(text, p.Line, p.Column) {
				t.Fatalf("%v is not in the file", p)
			}
		}
	})
}
