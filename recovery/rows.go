package recovery

import (
	"context"
	"iter"
)

// NamedFile is a file as a row of a restored database names it.
type NamedFile struct {
	Path string
	// Null says that the row has no path.
	Null   bool
	SHA256 string // lower-case hex; "" where the row does not say
	Bytes  int64  // -1 where the row does not say
}

// RowsOf streams the files that a query of a restored component names, in the byte
// order of their paths. A failure is yielded once, last.
type RowsOf func(ctx context.Context, env Env, component, query string) iter.Seq2[NamedFile, error]

// RowReader is an Engine that finds the right content of a file by the hash that a
// row names, where a clock may have been wrong.
type RowReader interface {
	// PlanRows is the step that does so, after both components are restored and
	// before the check that holds them against each other. It is pure.
	PlanRows(c Component, p Point, t Target, check FilesCheckArgs) Step
}
