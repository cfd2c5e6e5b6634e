// Package worker executes nodes.
package worker
