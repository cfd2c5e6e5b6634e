//go:build mutation

package mutation_test

const tagged = true
