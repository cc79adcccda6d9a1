package pitr

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"comeback/storage"
)

// Where the files of a data directory are copied, a tablespace is a link, which leads out of
// it: what the link led to must have been copied, too.

// outside looks for the tablespaces of a tree: those that its manifest and its tablespace_map
// name. What Barman copies lies beside the data directory. A manifest names files: one whose
// tablespace is not there proves a loss. A map names every tablespace that the server had, also
// those in which nothing lay, and no copy keeps empty directories: that is only told.
func (n *native) outside(ctx context.Context, b *Base, spaces, manifest storage.Object) error {
	held, err := n.heldSpaces(ctx, b, manifest)
	if err != nil || b.Problem != "" {
		return err
	}
	mapped, err := n.mappedSpaces(ctx, b, spaces)
	if err != nil || b.Problem != "" {
		return err
	}
	var missing []string
	for _, oid := range append(held, mapped...) {
		if slices.Contains(b.Tablespaces, oid) || slices.Contains(b.Bare, oid) || slices.Contains(missing, oid) {
			continue
		}
		beside, err := n.besides(ctx, b, oid)
		switch {
		case err != nil:
			return err
		case len(beside) > 0:
			b.Objects, b.Tablespaces = append(b.Objects, beside...), append(b.Tablespaces, oid)
		case slices.Contains(held, oid):
			missing = append(missing, oid)
		default:
			b.Bare = append(b.Bare, oid)
		}
	}
	if len(missing) > 0 {
		b.Problem = fmt.Sprintf("what lay in the tablespace %s is missing: nothing below pg_tblspc/%s was copied", strings.Join(missing, ", "), missing[0])
	}
	if len(b.Bare) > 0 && manifest.Key == "" {
		b.Warnings = append(b.Warnings, fmt.Sprintf("nothing below pg_tblspc/%s was copied: tablespace %s was empty, or what lay in it is missing, which no manifest tells",
			b.Bare[0], strings.Join(b.Bare, ", ")))
	}
	return nil
}

// mappedSpaces are the oids of the tablespaces that the server of a tree had.
func (n *native) mappedSpaces(ctx context.Context, b *Base, spaces storage.Object) (oids []string, err error) {
	if spaces.Key == "" {
		return nil, nil
	}
	text, err := n.part(ctx, spaces, 0)
	if err != nil {
		return nil, b.unreadable(ctx, spaces, err)
	}
	for line := range strings.Lines(string(text)) {
		if oid, _, _ := strings.Cut(line, " "); isOID(oid) {
			oids = append(oids, oid)
		}
	}
	return oids, nil
}

func isOID(name string) bool { return name != "" && strings.Trim(name, "0123456789") == "" }

// heldSpaces are the oids of the tablespaces in which files of a tree lay.
func (n *native) heldSpaces(ctx context.Context, b *Base, manifest storage.Object) (oids []string, err error) {
	if manifest.Key == "" {
		return nil, nil
	}
	in, err := n.open(ctx, manifest, Plain, nil)
	if err != nil {
		return nil, b.unreadable(ctx, manifest, err)
	}
	defer in.Close()
	// A server lists what lies in tablespaces before everything else, a file a line.
	for r, before := bufio.NewReader(in), true; before; {
		line, err := r.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, b.unreadable(ctx, manifest, err)
		}
		if _, name, ok := strings.Cut(line, `"Path": "`); ok {
			var rest string
			if rest, before = strings.CutPrefix(name, "pg_tblspc/"); before {
				if oid, _, _ := strings.Cut(rest, "/"); isOID(oid) && !slices.Contains(oids, oid) {
					oids = append(oids, oid)
				}
			}
		}
		before = before && err == nil
	}
	return oids, nil
}

// besides are the objects of a tablespace beside the data directory, as Barman keeps it.
func (n *native) besides(ctx context.Context, b *Base, oid string) (all []storage.Object, err error) {
	if path.Base(b.Root) != "data" {
		return nil, nil
	}
	for o, err := range n.store.List(ctx, aroundRoot(b.Root)+oid+"/") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", n.store.URL(), err)
		}
		all = append(all, o)
	}
	return all, nil
}

// aroundRoot is what the keys of all begin with that lies beside a data directory.
func aroundRoot(root string) string { return strings.TrimSuffix(root, path.Base(root)+"/") }

// nameIn is the name in the data directory of one of the objects of a tree.
func (b Base) nameIn(key string) string {
	if rel, ok := strings.CutPrefix(key, b.Root); ok {
		return rel
	}
	return "pg_tblspc/" + strings.TrimPrefix(key, aroundRoot(b.Root))
}
