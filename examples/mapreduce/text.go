package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// syllables make words that nobody has to understand.
var syllables = strings.Fields("an ba ber cor da del en fa gor ha il jo ka lo mi na or pa qui ra sel ta um va wen xi yo zu")

// makeText writes files of so many words each, always the same ones. Like in
// real text, few words are frequent and many are rare.
func makeText(folder string, files, words int) (names []string, err error) {
	random := rand.New(rand.NewPCG(1, 2))
	vocabulary := make([]string, 5000)
	for i := range vocabulary {
		var word strings.Builder
		for range 2 + random.IntN(3) {
			word.WriteString(syllables[random.IntN(len(syllables))])
		}
		vocabulary[i] = word.String()
	}
	frequent := rand.NewZipf(random, 1.1, 4, uint64(len(vocabulary)-1))
	for i := range files {
		var text strings.Builder
		for j := range words {
			text.WriteString(vocabulary[frequent.Uint64()])
			text.WriteString([]string{" ", " ", " ", ", ", ".\n"}[j%5])
		}
		name := fmt.Sprintf("chapter-%02d.txt", i+1)
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text.String()), 0o600); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}
