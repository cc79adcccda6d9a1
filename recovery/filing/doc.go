// Package filing is what signed runs are worth beyond the host that they were carried out
// on: whose signatures count.
package filing
