package code

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"comeback/recovery"
)

// beside says what belongs to a commit and is in no bundle of its repository, because it
// lies elsewhere: the content of submodules, and that of files which git LFS keeps. Run
// runs git on the repository, whose index is that of the commit.
func beside(ctx context.Context, run func(context.Context, ...string) (string, error), commit string) (says []string, err error) {
	tree, err := run(ctx, "ls-tree", "-z", "-r", "-d", "--full-tree", commit)
	if err != nil {
		return nil, fmt.Errorf("look for submodules: %w", err)
	}
	var modules []string
	for _, line := range strings.Split(tree, "\x00") {
		if about, name, ok := strings.Cut(line, "\t"); ok && strings.HasPrefix(about, "160000 ") {
			modules = append(modules, name)
		}
	}
	if len(modules) > 0 {
		says = append(says, fmt.Sprintf("%s, %s: a bundle has the names of their commits, and nothing of their content; let each be a component of kind code",
			recovery.FormatCount(len(modules), "submodule"), named(modules)))
	}
	kept, err := run(ctx, "ls-files", "-z", "--", ":(top,attr:filter=lfs)")
	if err != nil {
		return nil, fmt.Errorf("look for files of git LFS: %w", err)
	}
	pointers := slices.DeleteFunc(strings.Split(kept, "\x00"), func(name string) bool { return name == "" })
	if len(pointers) > 0 {
		says = append(says, fmt.Sprintf("%s of git LFS, %s: a bundle has what points to them, and not their content; let what git LFS keeps be a component of kind files",
			recovery.FormatCount(len(pointers), "file"), named(pointers)))
	}
	return says, nil
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
