package recovery

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// NewArtifact creates a file that is kept with the report, under another name for each
// attempt: what one that was cut off has written stays, and tells of it. It gives the
// name, too.
func NewArtifact(env Env, name, ending string) (w io.WriteCloser, as string, err error) {
	for n := 1; ; n++ {
		as = ArtifactOf(name, ending, n)
		if w, err = env.Artifact(as); !errors.Is(err, fs.ErrExist) {
			return w, as, err
		}
	}
}

// ArtifactOf is the name of the n-th of such files, from 1 on.
func ArtifactOf(name, ending string, n int) string {
	if n == 1 {
		return name + ending
	}
	return fmt.Sprintf("%s.%d%s", name, n, ending)
}
