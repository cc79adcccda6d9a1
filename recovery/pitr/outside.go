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

// outside looks for the tablespaces of a tree: those that its tablespace_map and its manifest
// name. What Barman copies lies beside the data directory.
func (n *native) outside(ctx context.Context, b *Base, spaces, manifest storage.Object) error {
	named, err := n.namedSpaces(ctx, b, spaces, manifest)
	if err != nil || b.Problem != "" {
		return err
	}
	var missing []string
	for _, oid := range named {
		if slices.Contains(b.Tablespaces, oid) {
			continue
		}
		beside, err := n.besides(ctx, b, oid)
		if err != nil {
			return err
		}
		if len(beside) == 0 {
			missing = append(missing, oid)
			continue
		}
		b.Objects, b.Tablespaces = append(b.Objects, beside...), append(b.Tablespaces, oid)
	}
	if len(missing) > 0 {
		b.Problem = fmt.Sprintf("what lay in the tablespace %s is missing: nothing below pg_tblspc/%s was copied", strings.Join(missing, ", "), missing[0])
	}
	return nil
}

// namedSpaces are the oids of the tablespaces that a tree had.
func (n *native) namedSpaces(ctx context.Context, b *Base, spaces, manifest storage.Object) (oids []string, err error) {
	add := func(oid string) {
		if oid != "" && strings.Trim(oid, "0123456789") == "" && !slices.Contains(oids, oid) {
			oids = append(oids, oid)
		}
	}
	if spaces.Key != "" {
		text, err := n.part(ctx, spaces, 0)
		if err != nil {
			return nil, b.unreadable(ctx, spaces, err)
		}
		for line := range strings.Lines(string(text)) {
			oid, _, _ := strings.Cut(line, " ")
			add(oid)
		}
	}
	if manifest.Key == "" {
		return oids, nil
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
				oid, _, _ := strings.Cut(rest, "/")
				add(oid)
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
