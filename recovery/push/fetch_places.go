package push

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"comeback/recovery/pitr"
	"comeback/storage"
)

// placesHold is for how long it is believed that log comes to no other places of a copy
// than those that were seen: a standby asks for what is not there yet every few seconds.
const placesHold = 10 * time.Minute

// placed is where a copy's log was seen, as it is noted beside the marks of copies.
type placed struct {
	Seen time.Time `json:"seen"`
	// Of is what was asked: the copy, where in it, and for which cluster.
	Of     string      `json:"of"`
	Layout pitr.Layout `json:"layout"`
}

// log is where a copy holds the log, listed anew unless that was done a moment ago. A note
// that cannot be read or written only costs another list; that there is no log is not noted.
func (f *fetch) log(ctx context.Context, copy string, store storage.Store) (pitr.Layout, error) {
	of := strings.Join([]string{store.URL(), f.component.Name, f.component.Settings.Text("prefix"), f.component.Settings.Text("wal"), f.system}, "\n")
	note := ""
	if f.marks != nil {
		sum := sha256.Sum256([]byte(of))
		note = filepath.Join(f.marks.down, ".places-"+copy+"-"+hex.EncodeToString(sum[:4]))
		if p, ok := readPlaced(note); ok && p.Of == of {
			if age := f.now().Sub(p.Seen); age >= 0 && age < placesHold {
				return p.Layout, nil
			}
		}
	}
	l, err := pitr.FindLog(ctx, f.component, store, f.system)
	if err != nil || note == "" || len(l.Places) == 0 {
		return l, err
	}
	if b, err := json.Marshal(placed{f.now(), of, l}); err == nil {
		_ = writeDurably(note, b)
	}
	return l, nil
}

func readPlaced(note string) (p placed, ok bool) {
	b, err := os.ReadFile(note)
	return p, err == nil && json.Unmarshal(b, &p) == nil
}

// systemOf is the identifier of the cluster into whose pg_wal a file is to come, which its
// pg_control begins with; empty where there is none.
func systemOf(to string) string {
	abs, err := filepath.Abs(to)
	if err != nil {
		return ""
	}
	f, err := os.Open(filepath.Join(filepath.Dir(filepath.Dir(abs)), "global/pg_control"))
	if err != nil {
		return ""
	}
	defer f.Close()
	var id uint64
	if binary.Read(f, binary.NativeEndian, &id) != nil {
		return ""
	}
	return strconv.FormatUint(id, 10)
}
