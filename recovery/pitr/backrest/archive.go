package backrest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/tool"
	"comeback/recovery/pitr/walfile"
	"comeback/storage"
)

// entry is one thing in a repository as repo-ls tells it.
type entry struct {
	Type string `json:"type"` // file, path, link, special
	Size int64  `json:"size"`
	Time int64  `json:"time"`
}

// segmentName is a segment as pgBackRest calls it: PostgreSQL's name, the digest of what
// is in it, and how it is compressed.
var segmentName = pattern.New(`^([0-9A-F]{24}(?:\.partial)?)-([0-9a-f]{40})(\.[0-9a-z]+)?$`)

// parseName judges a file of an archive; digest is the SHA-1 of what it holds, "" where
// its name does not tell.
func parseName(name string) (f pitr.File, digest string, ok bool) {
	if m := segmentName.FindStringSubmatch(name); m != nil {
		f, ok = pitr.ParseFileName(m[1] + m[3])
		return f, m[2], ok
	}
	f, ok = pitr.ParseFileName(name)
	return f, "", ok && f.Kind != walfile.Segment
}

// list asks for the files of an archive's directory whose names begin with prefix.
func (r *repository) list(ctx context.Context, dir, prefix string, recurse bool) ([]pitr.File, unread, error) {
	args := []string{"repo-ls", "--output=json"}
	if recurse {
		args = append(args, "--recurse")
	}
	if prefix != "" {
		args = append(args, "--filter=^"+prefix)
	}
	out, err := r.ask(ctx, append(args, dir)...)
	if err != nil {
		return nil, nil, fmt.Errorf("list %s in repository %d: %w", dir, r.Repo, err)
	}
	var all map[string]entry
	if err := json.Unmarshal(out, &all); err != nil {
		return nil, nil, fmt.Errorf("list %s in repository %d: read what pgBackRest says: %w", dir, r.Repo, err)
	}
	var files []pitr.File
	odd := unread{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e := all[name]
		f, _, ok := parseName(path.Base(name))
		if e.Type != "file" || !ok {
			continue
		}
		f.Hold(storage.Object{Key: dir + "/" + name, Size: e.Size, Modified: time.Unix(e.Time, 0).UTC()})
		f.Sealed = r.Sealed
		if !f.Packing.Readable() {
			odd[f.Packing] = append(odd[f.Packing], f.Object().Key)
			continue
		}
		files = append(files, f)
	}
	return files, odd, nil
}

// unread are files by a packing that is not read.
type unread map[pitr.Packing][]string

func (u unread) findings() []recovery.Finding {
	var all []recovery.Finding
	for _, p := range slices.Sorted(maps.Keys(u)) {
		all = append(all, recovery.Finding{Object: u[p][0], Says: fmt.Sprintf("%d files of the archive are compressed with %s, which is not read", len(u[p]), p),
			Do: "set compress-type=zst, lz4 or gz in pgBackRest's configuration; what is archived from then on is read"})
	}
	return all
}

// Files lists anew.
func (r *repository) Files(ctx context.Context, prefix string) ([]pitr.File, error) {
	var all []pitr.File
	for _, p := range r.places {
		dir, recurse := strings.TrimSuffix(p.Dir, "/"), false
		switch {
		case strings.HasSuffix(prefix, ".history"):
		case len(prefix) >= 16:
			dir += "/" + prefix[:16]
		default:
			recurse = true
		}
		name := strings.ReplaceAll(prefix, ".", `\.`)
		if recurse {
			name = "" // a filter is held against the whole path then
		}
		files, _, err := r.list(ctx, dir, name, recurse)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if strings.HasPrefix(f.Name(), prefix) {
				all = append(all, f)
			}
		}
	}
	return all, nil
}

// Absent lists again, and wants the stanza itself to be there: of a repository that is
// gone pgBackRest lists nothing, and says nothing.
func (r *repository) Absent(ctx context.Context, name string) (bool, error) {
	files, err := r.Files(ctx, name)
	if err != nil || slices.ContainsFunc(files, func(f pitr.File) bool { return f.Name() == name }) {
		return false, err
	}
	out, err := r.ask(ctx, "repo-ls", "--output=json", `--filter=^archive\.info`, strings.TrimSuffix(r.archive(), "/"))
	if err != nil {
		return false, err
	}
	var all map[string]entry
	if err := json.Unmarshal(out, &all); err != nil {
		return false, fmt.Errorf("look for the stanza %s: read what pgBackRest says: %w", r.Stanza, err)
	}
	if all["archive.info"].Type != "file" && all["archive.info.copy"].Type != "file" {
		return false, recovery.Errorf("look whether the repository is mounted and reached, then retry",
			"%w: repository %d does not show the stanza %s any more", storage.ErrUnavailable, r.Repo, r.Stanza)
	}
	return true, nil
}

// Open streams a file. pgBackRest decrypts it, here it is unpacked, and a segment is held
// against the digest in its name.
func (r *repository) Open(ctx context.Context, f pitr.File) (io.ReadCloser, error) {
	stream := tool.Stream(ctx, func(ctx context.Context, out io.Writer) error {
		err := r.run(ctx, out, nil, "repo-get", f.Object().Key)
		if err != nil && errors.Is(err, storage.ErrConfig) && strings.Contains(err.Error(), "[0"+fmt.Sprint(cryptoError)+"]") {
			// The stanza could be read with the key that there is.
			err = fmt.Errorf("%w: it cannot be decrypted: %w", storage.ErrCorrupt, err)
		}
		return err
	})
	unpacked, err := pitr.Unpacked(stream, f.Packing)
	if err != nil {
		return nil, err
	}
	_, digest, _ := parseName(path.Base(f.Object().Key))
	return summed(unpacked, digest), nil
}
