package files

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"

	"comeback/recovery/files/tree"
)

// resticSize is how much a restore writes.
type resticSize struct {
	Bytes int64 `json:"total_size"`
	Files int64 `json:"total_file_count"`
}

// fits asks restic how much a snapshot is, and refuses it where there is no room for that.
// Restic counts all of a snapshot: where that is too much, what the tree is of it counts.
func (k resticKind) fits(ctx context.Context, s *scratch, f resticFacts, ask resticAsk) (size resticSize, err error) {
	var out bytes.Buffer
	if err := ask(ctx, &out, "stats", "--json", "--mode", "restore-size", f.Snapshot); err != nil {
		return size, fmt.Errorf("ask restic how much %.8s is: %w", f.Snapshot, err)
	}
	if err := json.Unmarshal(out.Bytes(), &size); err != nil {
		return size, fmt.Errorf("read how much %.8s is: %w", f.Snapshot, err)
	}
	if s.hasRoom(size.room()) == nil || f.Path == "/" {
		return size, s.hasRoom(size.room())
	}
	var inTree resticSize
	err = resticList(ctx, f, ask, func(node resticNode) {
		if node.Type == "file" {
			inTree.Files++
			inTree.Bytes += node.Size
		}
	})
	if err != nil {
		return size, fmt.Errorf("ask restic how much %s of %.8s is: %w", tree.Show(f.Path), f.Snapshot, err)
	}
	size = resticSize{Bytes: min(size.Bytes, inTree.Bytes), Files: min(size.Files, inTree.Files)}
	return size, s.hasRoom(size.room())
}

// owners counts what restic, which says nothing of it, could not give to its owner.
func (k resticKind) owners(ctx context.Context, f resticFacts, ask resticAsk) (foreign tree.Foreign, err error) {
	if tree.AllOwn() {
		return foreign, nil
	}
	err = resticList(ctx, f, ask, func(node resticNode) {
		name := strings.TrimPrefix(strings.TrimPrefix(node.Path, path.Clean(f.Path)), "/")
		foreign.See(cmp.Or(name, "."), node.UID, node.GID)
	})
	if err != nil {
		return foreign, fmt.Errorf("ask restic whose %s of %.8s is: %w", tree.Show(f.Path), f.Snapshot, err)
	}
	return foreign, nil
}

// resticAsk runs restic with some arguments.
type resticAsk func(ctx context.Context, out io.Writer, args ...string) error

// resticNode is a name in a snapshot as restic lists it.
type resticNode struct {
	Type string `json:"type"`
	Path string `json:"path"`
	Size int64  `json:"size"`
	UID  int    `json:"uid"`
	GID  int    `json:"gid"`
}

// resticList calls see for each name that a snapshot has of a tree.
func resticList(ctx context.Context, f resticFacts, ask resticAsk, see func(resticNode)) error {
	read, write := io.Pipe()
	listed := make(chan error, 1)
	go func() {
		err := nodesOf(read, f.Path, see)
		read.CloseWithError(err)
		listed <- err
	}()
	err := ask(ctx, write, "ls", "--json", f.Snapshot)
	write.CloseWithError(err) // nil is the end
	if errList := <-listed; err == nil {
		err = errList
	}
	return err
}

// nodesOf reads what restic lists, and calls see for a path and what is below it.
func nodesOf(list io.Reader, tree string, see func(resticNode)) error {
	d := json.NewDecoder(list)
	for {
		var node resticNode
		if err := d.Decode(&node); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if node.Type != "" && (node.Path == path.Clean(tree) || strings.HasPrefix(node.Path, strings.TrimSuffix(path.Clean(tree), "/")+"/")) {
			see(node)
		}
	}
}

// room is how much of a disk it takes at the most.
func (s resticSize) room() int64 { return s.Bytes + s.Files*tree.Hole }

// hasRoom refuses where so many more bytes have no room.
func (s *scratch) hasRoom(more int64) error {
	if s.room == nil {
		return nil
	}
	return s.room(more)
}
