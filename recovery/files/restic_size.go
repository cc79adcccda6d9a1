package files

import (
	"bytes"
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
func (k resticKind) fits(ctx context.Context, s *scratch, f resticFacts, ask func(context.Context, io.Writer, ...string) error) (size resticSize, err error) {
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
	read, write := io.Pipe()
	listed := make(chan error, 1)
	var inTree resticSize
	go func() {
		var err error
		inTree, err = sizeOfTree(read, f.Path)
		read.CloseWithError(err)
		listed <- err
	}()
	err = ask(ctx, write, "ls", "--json", f.Snapshot)
	write.CloseWithError(err) // nil is the end
	if errList := <-listed; err == nil {
		err = errList
	}
	if err != nil {
		return size, fmt.Errorf("ask restic how much %s of %.8s is: %w", tree.Show(f.Path), f.Snapshot, err)
	}
	size = resticSize{Bytes: min(size.Bytes, inTree.Bytes), Files: min(size.Files, inTree.Files)}
	return size, s.hasRoom(size.room())
}

// sizeOfTree adds up what restic lists below a path.
func sizeOfTree(list io.Reader, tree string) (size resticSize, err error) {
	d := json.NewDecoder(list)
	for {
		var node struct {
			Type string `json:"type"`
			Path string `json:"path"`
			Size int64  `json:"size"`
		}
		if err := d.Decode(&node); err == io.EOF {
			return size, nil
		} else if err != nil {
			return size, err
		}
		if node.Type == "file" && strings.HasPrefix(node.Path, path.Clean(tree)+"/") {
			size.Files++
			size.Bytes += node.Size
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
