package push

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
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

// log is where a copy holds the log. Unless it is to be anew, what was seen a moment ago is
// believed, also that there is none: noted says so. A note that cannot be read or written only
// costs another list.
func (f *fetch) log(ctx context.Context, copy string, store storage.Store, anew bool) (l pitr.Layout, noted bool, err error) {
	of := strings.Join([]string{store.URL(), f.component.Name, f.component.Settings.Text("prefix"), f.component.Settings.Text("wal"), f.system}, "\n")
	note := ""
	if f.marks != nil {
		sum := sha256.Sum256([]byte(of))
		note = filepath.Join(f.marks.down, ".places-"+copy+"-"+hex.EncodeToString(sum[:4]))
		f.notes(note)
		if p, ok := readPlaced(note); ok && p.Of == of && !anew {
			if age := f.now().Sub(p.Seen); age >= 0 && age < placesHold {
				return p.Layout, true, nil
			}
		}
	}
	l, err = pitr.FindLog(ctx, f.component, store, f.system)
	if err != nil || note == "" {
		return l, false, err
	}
	if b, err := json.Marshal(placed{f.now(), of, l}); err == nil {
		_ = writeDurably(note, b)
	}
	return l, false, nil
}

// notes keeps in mind what forget removes.
func (f *fetch) notes(note string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noted = append(f.noted, note)
}

// forget removes what was noted: where no copy has any log, all are looked at again. What
// cannot be removed is believed for a while.
func (f *fetch) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, note := range f.noted {
		_ = os.Remove(note)
	}
}

// elsewhere looks for the file wherever a copy holds log. What ends where a file is missing
// does not believe a note that it is: log may have come to another place since.
func (f *fetch) elsewhere(ctx context.Context, copy string, store storage.Store) (file pitr.File, found bool, places int, err error) {
	for anew := false; ; anew = true {
		l, noted, err := f.log(ctx, copy, store, anew)
		if err != nil {
			return file, false, 0, err
		}
		file, found, err = l.FindFile(ctx, store, f.name)
		if err != nil || found || !noted || !endsThere(f.to) {
			return file, found, len(l.Places), err
		}
	}
}

// endsThere reports whether the server into whose pg_wal a file is to come recovers to where
// the log ends, and opens there: a standby asks again.
func endsThere(to string) bool {
	data := dataOf(to)
	if data == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(data, "recovery.signal"))
	_, errStandby := os.Stat(filepath.Join(data, "standby.signal"))
	return err == nil && errors.Is(errStandby, fs.ErrNotExist)
}

// dataOf is the data directory into whose pg_wal a file is to come.
func dataOf(to string) string {
	abs, err := filepath.Abs(to)
	if err != nil {
		return ""
	}
	return filepath.Dir(filepath.Dir(abs))
}

func readPlaced(note string) (p placed, ok bool) {
	b, err := os.ReadFile(note)
	return p, err == nil && json.Unmarshal(b, &p) == nil
}

// systemOf is the identifier of the cluster into whose pg_wal a file is to come, which its
// pg_control begins with; empty where there is none.
func systemOf(to string) string {
	f, err := os.Open(filepath.Join(dataOf(to), "global/pg_control"))
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
