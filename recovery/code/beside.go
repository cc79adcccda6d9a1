package code

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"comeback/recovery"
)

// beside says what belongs to a commit and is in no bundle of its repository, because it
// lies elsewhere: the content of submodules, and that of files which git LFS keeps. What lies
// in the paths of without is told by itself: the runbook says that it comes back otherwise,
// or need not. Run runs git on the repository, whose index is that of the commit.
func beside(ctx context.Context, run func(context.Context, ...string) (string, error), commit string, without []string) (lacks, accepted []string, err error) {
	tree, err := run(ctx, "ls-tree", "-z", "-r", "-d", "--full-tree", commit)
	if err != nil {
		return nil, nil, fmt.Errorf("look for submodules: %w", err)
	}
	var modules []string
	for _, line := range strings.Split(tree, "\x00") {
		if about, name, ok := strings.Cut(line, "\t"); ok && strings.HasPrefix(about, "160000 ") {
			modules = append(modules, name)
		}
	}
	kept, err := run(ctx, "ls-files", "-z", "--", ":(top,attr:filter=lfs)")
	if err != nil {
		return nil, nil, fmt.Errorf("look for files of git LFS: %w", err)
	}
	pointers := slices.DeleteFunc(strings.Split(kept, "\x00"), func(name string) bool { return name == "" })
	for _, sort := range []struct {
		paths         []string
		one, has, let string
	}{
		{modules, "submodule", "a bundle has the names of their commits, and nothing of their content", "each be a component of kind code"},
		{pointers, "file of git LFS", "a bundle has what points to them, and not their content", "what git LFS keeps be a component of kind files"},
	} {
		var named, others []string
		for _, p := range sort.paths {
			if slices.ContainsFunc(without, func(w string) bool { return below(p, w) }) {
				named = append(named, p)
			} else {
				others = append(others, p)
			}
		}
		if len(others) > 0 {
			lacks = append(lacks, fmt.Sprintf("%s: %s; let %s, and name their paths in `without` of this one", told(others, sort.one), sort.has, sort.let))
		}
		if len(named) > 0 {
			accepted = append(accepted, fmt.Sprintf("%s: %s, and `without` names their paths", told(named, sort.one), sort.has))
		}
	}
	return lacks, accepted, nil
}

// below reports whether a path of a repository is one that is named, or lies in it.
func below(name, dir string) bool {
	dir = path.Clean(dir)
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}

// told counts paths of a sort, and names the first.
func told(paths []string, one string) string {
	noun, of, ok := strings.Cut(one, " ")
	says := recovery.FormatCount(len(paths), noun)
	if ok {
		says += " " + of
	}
	return says + ", " + named(paths)
}

// named names the first of some paths.
func named(paths []string) string {
	const few = 3
	var out []string
	for _, p := range paths[:min(few, len(paths))] {
		out = append(out, fmt.Sprintf("%.80q", p))
	}
	if n := len(paths) - few; n > 0 {
		return strings.Join(out, ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(out, ", ")
}
