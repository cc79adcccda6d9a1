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
		if as = name + ending; n > 1 {
			as = fmt.Sprintf("%s.%d%s", name, n, ending)
		}
		if w, err = env.Artifact(as); !errors.Is(err, fs.ErrExist) {
			return w, as, err
		}
	}
}
