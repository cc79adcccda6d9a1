package code

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"comeback/pattern"
)

// Deploy is one commit that went live.
type Deploy struct {
	At     time.Time `json:"at"`
	Commit string    `json:"commit"`
	// By says where it is recorded: a line of the record, or a tag.
	By string `json:"by"`
}

// hash is the full name of a commit, in SHA-1 or SHA-256.
var hash = pattern.New(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// maxLine bounds a line of a deploy record.
const maxLine = 64 << 10

// readDeploys reads a deploy record, the earliest first. Empty lines and those
// that begin with # are left out; a last line without its end is one that is
// being written. Any other line that is none of a record is an error: a record
// that is misread names the wrong commit.
func readDeploys(in io.Reader, name string) ([]Deploy, error) {
	r := bufio.NewReaderSize(in, maxLine)
	var all []Deploy
	for n := 1; ; n++ {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			break // what has no end is not written yet
		}
		if err != nil {
			return nil, err
		}
		if len(line) > maxLine {
			return nil, fmt.Errorf("line %d is longer than %d bytes", n, maxLine)
		}
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, f[0])
		if err != nil || len(f) < 2 || !hash.MatchString(f[1]) {
			return nil, fmt.Errorf("line %d is not a time with its offset and the full hash of a commit: %.80q", n, strings.TrimSpace(line))
		}
		all = append(all, Deploy{At: at.UTC(), Commit: f[1], By: fmt.Sprintf("line %d of %s", n, name)})
	}
	// Lines are appended; two deploys of one second keep their order.
	slices.SortStableFunc(all, func(a, b Deploy) int { return a.At.Compare(b.At) })
	return all, nil
}

var tagTime = pattern.New(`(\d{4})-?(\d{2})-?(\d{2})T(\d{2})[-:]?(\d{2})[-:]?(\d{2})Z$`)

// taggedDeploys are the tags of a bundle that tell when they were deployed.
func taggedDeploys(refs []ref, bundle string) []Deploy {
	var all []Deploy
	for _, r := range refs {
		m := tagTime.FindStringSubmatch(r.name)
		if m == nil || !strings.HasPrefix(r.name, "refs/tags/") {
			continue
		}
		if at, err := time.Parse("20060102150405", strings.Join(m[1:], "")); err == nil {
			all = append(all, Deploy{At: at, Commit: r.commit, By: fmt.Sprintf("%s in %s", r.name, bundle)})
		}
	}
	slices.SortStableFunc(all, func(a, b Deploy) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.By, b.By)) })
	return all
}
