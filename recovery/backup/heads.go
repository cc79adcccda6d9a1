package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/storage"
)

// The head of a run's journal is kept in the copies when the run ends, signed or not:
// the digest of the last line stands for every line before it, so that a journal that
// is written anew, or gone, shows. The first one that is kept stays.
const headsDir = "comeback/heads/"

// maxHead bounds one.
const maxHead = 64 << 10

// Head is that of a run that has ended.
type Head struct {
	System string          `json:"system"`
	Run    string          `json:"run"`
	Number int             `json:"number"`
	Mode   recovery.Mode   `json:"mode"`
	Result recovery.Result `json:"result"`
	Host   string          `json:"host"`
	// State is the directory on Host that keeps the run.
	State  string    `json:"state"`
	Ended  time.Time `json:"ended"`
	Lines  int       `json:"lines"`
	SHA256 string    `json:"sha256"` // of the last line, as the next one's prev would be
}

var headName = pattern.New(`^([0-9]{6})-([0-9a-f]{4,16})-([0-9a-f]{64})\.json$`)

// FileHead keeps a head in a copy.
func FileHead(ctx context.Context, s storage.Store, h Head) error {
	b, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("keep the head of run %s: %w", h.Run, err)
	}
	b = append(b, '\n')
	key := fmt.Sprintf("%s%s/%06d-%s-%s.json", headsDir, h.System, h.Number, h.Run, h.SHA256)
	if _, err := s.Put(ctx, key, bytes.NewReader(b), storage.PutOptions{IfAbsent: true, Size: int64(len(b))}); err != nil && !errors.Is(err, storage.ErrExist) {
		return fmt.Errorf("keep the head of run %s: %w", h.Run, err)
	}
	return nil
}

// FiledHead is a head as its name tells it.
type FiledHead struct {
	Run, SHA256 string
	object      storage.Object
}

// Heads lists those of a system that a copy keeps, by the runs' numbers.
func Heads(ctx context.Context, s storage.Store, system string) ([]FiledHead, error) {
	var all []FiledHead
	for o, err := range s.List(ctx, headsDir+system+"/") {
		if err != nil {
			return nil, fmt.Errorf("list the heads of runs: %w", err)
		}
		if m := headName.FindStringSubmatch(path.Base(o.Key)); m != nil && o.Size <= maxHead {
			all = append(all, FiledHead{Run: m[2], SHA256: m[3], object: o})
		}
	}
	return all, nil
}

// Read reads what is known of the run.
func (f FiledHead) Read(ctx context.Context, s storage.Store) (Head, error) {
	in := storage.NewReader(ctx, s, f.object, storage.ReadOptions{Attempts: 3})
	b, err := io.ReadAll(io.LimitReader(in, maxHead))
	var h Head
	if err = errors.Join(err, in.Close()); err == nil {
		err = json.Unmarshal(b, &h)
	}
	if err != nil {
		return h, fmt.Errorf("read the head of run %s: %w", f.Run, err)
	}
	return h, nil
}
