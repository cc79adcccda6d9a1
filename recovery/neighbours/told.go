package neighbours

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// told is what a manifest says: which system it is of, and the keys of what was stored. It
// is whole where it lies under the name that its component and its backup's stamp give, and
// names its backup; the keys of that have the stamp, too. Who may only add objects to a copy
// could hide another's backups with less.
type told struct {
	system, stamp string
	keys          []string
	whole         bool
}

// stampDigits are how many characters of a manifest's name are its time, as in the keys of
// its backup: 20261101T030000.
const stampDigits = len("20060102T150405")

// toldBy reads a manifest. One that cannot be read as such, or went meanwhile, tells nothing.
func toldBy(ctx context.Context, s storage.Store, o storage.Object) (told, error) {
	in := storage.NewReader(ctx, s, o, storage.ReadOptions{Attempts: 3})
	defer in.Close()
	b, err := io.ReadAll(in)
	switch {
	case errors.Is(err, storage.ErrNotExist), errors.Is(err, storage.ErrChanged), errors.Is(err, storage.ErrCorrupt):
		return told{}, nil
	case err != nil:
		return told{}, fmt.Errorf("read %s: %w", o.Key, err)
	}
	var m struct {
		Format    int                     `json:"comeback_backup"`
		ID        string                  `json:"id"`
		System    string                  `json:"system"`
		Component string                  `json:"component"`
		Objects   []recovery.StoredObject `json:"objects"`
	}
	if json.Unmarshal(b, &m) != nil || m.Format != recovery.ManifestFormat {
		return told{}, nil
	}
	t := told{system: m.System}
	for _, stored := range m.Objects {
		t.keys = append(t.keys, stored.Key)
	}
	if name := path.Base(o.Key); len(name) > stampDigits {
		t.stamp = name[:stampDigits]
	}
	_, err = time.Parse("20060102T150405", t.stamp)
	t.whole = err == nil && path.Dir(o.Key) == recovery.ManifestsIn+m.Component && strings.Contains(m.ID, t.stamp)
	return t, nil
}
