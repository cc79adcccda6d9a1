package commands

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"comeback/recovery"
	"comeback/recovery/mounts"
	"comeback/recovery/mounts/mountstest"
)

// recording is a meter that keeps what it is told.
type recording struct {
	recovery.Meter
	told []string
}

func (r *recording) Phase(name string, total int64, unit recovery.Unit) {
	r.told = append(r.told, fmt.Sprintf("%s of %d %s", name, total, unit))
}
func (r *recording) Log(string)  {}
func (r *recording) Set(n int64) { r.told = append(r.told, fmt.Sprint(n)) }

// Of a command that says nothing of how far it is what it has written is shown; of one that
// does, its own word.
func TestAnswer_watch(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "a"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		says string
		want []string
	}{
		"it says nothing":             {"", []string{"5"}},
		"it says something else":      {"copying\n", []string{"5"}},
		"it says how far it is":       {`{"done": "3", "total": "12", "unit": "bytes", "says": "copying"}` + "\n", []string{"copying of 12 bytes", "3"}},
		"it says what it has made":    {`{"cluster": "data"}` + "\n", []string{"5"}},
		"it says nothing whole of it": {`{"done": "3", "total": "12"}`, []string{"5"}},
	} {
		t.Run(name, func(t *testing.T) {
			meter := &recording{}
			a := &answer{meter: meter}
			end := a.watch(dir)
			if _, err := a.Write([]byte(c.says)); err != nil {
				t.Fatal(err)
			}
			end()
			if !slices.Equal(slices.Compact(meter.told), c.want) {
				t.Errorf("shown is %q, want %q", meter.told, c.want)
			}
		})
	}
}

// What the command of another backup has mounted in its directory keeps what it holds.
func TestPrepare_mounted(t *testing.T) {
	if !mountstest.Alone(t) {
		return
	}
	p := place{handle: recovery.Handle{Dir: t.TempDir()}}
	for _, at := range []string{"fetched-1", "fetched-2/share"} {
		precious := mountstest.Share(t, filepath.Join(p.handle.Dir, at))
		err := p.prepare()
		if _, mounted := errors.AsType[*mounts.Mounted](err); !mounted || recovery.HintOf(err) == "" {
			t.Errorf("%s: error %v", at, err)
		}
		if _, err := os.Stat(precious); err != nil {
			t.Errorf("%s: the share was emptied: %v", at, err)
		}
	}
}
