package code

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"comeback/storage"
)

// ref is a name in a bundle and what it stands for: a commit, or an annotated tag
// of one.
type ref struct{ name, commit string }

// maxHead bounds the head of a bundle.
const maxHead = 16 << 20

// errNoBundle says that an object is none.
var errNoBundle = errors.New("is not a git bundle")

// readBundle reads the head of a bundle: what it holds, and which commits it
// takes for granted.
func readBundle(in io.Reader) (refs []ref, needs []string, err error) {
	r := bufio.NewReaderSize(io.LimitReader(in, maxHead), 64<<10)
	for n := 0; ; n++ {
		line, err := r.ReadString('\n')
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			if n == 0 {
				return nil, nil, errNoBundle
			}
			return nil, nil, fmt.Errorf("%w: it ends in its head", storage.ErrCorrupt)
		}
		if err != nil {
			return nil, nil, err
		}
		line = strings.TrimSuffix(line, "\n")
		switch name, rest, _ := strings.Cut(line, " "); {
		case n == 0 && line != "# v2 git bundle" && line != "# v3 git bundle":
			return nil, nil, errNoBundle
		case n == 0, strings.HasPrefix(line, "@"):
		case line == "":
			return refs, needs, nil
		case strings.HasPrefix(name, "-") && hash.MatchString(name[1:]):
			needs = append(needs, name[1:])
		case hash.MatchString(name) && rest != "":
			refs = append(refs, ref{rest, name})
		default:
			return nil, nil, fmt.Errorf("%w: its head holds %.80q", storage.ErrCorrupt, line)
		}
	}
}
