package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// countWords counts the words of a file, and writes down the counts of each part
// of all words in a file of its own.
func countWords(_ context.Context, s Split) (Counted, error) {
	f, err := os.Open(filepath.Join(s.Folder, s.File))
	if err != nil {
		return Counted{}, err
	}
	defer f.Close()
	parts := make([]map[string]int, s.Parts)
	for i := range parts {
		parts[i] = map[string]int{}
	}
	var done Counted
	words := bufio.NewScanner(f)
	words.Split(bufio.ScanWords)
	for words.Scan() {
		word := strings.ToLower(strings.Trim(words.Text(), ".,;:!?"))
		if word != "" {
			parts[partOf(word, s.Parts)][word]++
			done.Words++
		}
	}
	if err := words.Err(); err != nil {
		return Counted{}, fmt.Errorf("read %s: %w", s.File, err)
	}
	for i, counts := range parts {
		name := fmt.Sprintf("%s.part-%d.json", s.File, i)
		if err := save(filepath.Join(s.Folder, name), counts); err != nil {
			return Counted{}, err
		}
		done.Files = append(done.Files, name)
	}
	return done, nil
}

// partOf says which part a word is in: the same in every process, so that all
// counts of a word meet at one reducer.
func partOf(word string, parts int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(word)) // never fails
	return int(h.Sum32() % uint32(parts))
}

// addCounts adds up what the mappers counted in one part.
func addCounts(ctx context.Context, p Part) (Added, error) {
	sums := map[string]int{}
	var done Added
	for _, c := range p.Counted {
		if ctx.Err() != nil {
			return Added{}, context.Cause(ctx)
		}
		data, err := os.ReadFile(filepath.Join(p.Folder, c.Files[p.Index]))
		if err != nil {
			return Added{}, err
		}
		var counts map[string]int
		if err := json.Unmarshal(data, &counts); err != nil {
			return Added{}, fmt.Errorf("%s: %w", c.Files[p.Index], err)
		}
		for word, times := range counts {
			sums[word] += times
			done.Words += times
		}
	}
	done.Different = len(sums)
	for word, times := range sums {
		done.Top = append(done.Top, Count{word, times})
	}
	done.Top = top(done.Top)
	return done, nil
}

// mergeParts puts the parts together. The most frequent words of all are among
// those of the parts.
func mergeParts(_ context.Context, parts []Added) (Added, error) {
	var all Added
	for _, p := range parts {
		all.Words += p.Words
		all.Different += p.Different
		all.Top = append(all.Top, p.Top...)
	}
	all.Top = top(all.Top)
	return all, nil
}

func top(counts []Count) []Count {
	slices.SortFunc(counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Times, a.Times), strings.Compare(a.Word, b.Word))
	})
	return slices.Clone(counts[:min(len(counts), numTop)])
}

// save writes a file in one step: a task may run twice, at the same time even,
// and nobody must find half a file.
func save(path string, counts map[string]int) error {
	data, err := json.Marshal(counts)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // it is the first error that counts
	}
	return err
}
