package dump_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/dump"
	"comeback/recovery/postgres"
)

// crashing is a restore of a copy with these objects, by a runner that dies.
func crashing(t *testing.T, objects map[string][]byte) enginetest.Crash {
	t.Helper()
	store := directory(t, objects)
	p, err := crashEngine().Resolve(t.Context(), survey(t, component, store), recovery.Want{Kind: recovery.WantLatest, Text: "latest"}, store)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := postgres.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	return enginetest.Crash{
		Options: enginetest.Options{Engine: crashEngine(), Component: component, Point: p, Owner: owner,
			Releasers: []recovery.Releaser{postgres.ReleaseCluster{}}},
		Copies: map[string]string{"nearby": strings.TrimPrefix(store.URL(), "file://")},
		Digest: func(_ context.Context, env recovery.Env) (string, error) {
			b, ok := env.Binding(component.Name)
			if !ok || !b.Scratch {
				return "", fmt.Errorf("the binding is %+v", b)
			}
			return state(t, b.URL), nil
		},
	}
}

// crashEngine tells the journal of every few kilobytes that it has fetched.
func crashEngine() recovery.Engine { return dump.New(dump.Options{SyncEvery: 16 << 10}) }

func TestSurvive(t *testing.T) {
	forms := []map[string][]byte{
		{"shop.dump": dumpOf(t, "shop", "--format=custom", "--compress=0")},
		{"shop.sql.gz": gz(t, dumpOf(t, "shop"))},
		directoryDump(t),
	}
	if !enginetest.Soak() {
		forms = forms[:1]
	}
	for i, objects := range forms {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			enginetest.Survive(t, crashing(t, objects))
		})
	}
}

// What was fetched of an archive is not fetched again; what cannot be taken up
// in the middle says so.
func TestRestore_GoesOn(t *testing.T) {
	want := state(t, source.URL("shop"))
	custom := dumpOf(t, "shop", "--format=custom", "--compress=0")
	for name, test := range map[string]struct {
		objects map[string][]byte
		again   bool // all of it is read again
		says    string
	}{
		"custom":       {map[string][]byte{"shop.dump": custom}, false, "of the archive fetched"},
		"tar":          {map[string][]byte{"shop.tar": dumpOf(t, "shop", "--format=tar")}, false, "of the archive fetched"},
		"directory":    {directoryDump(t), false, "of the archive fetched"},
		"custom, gzip": {map[string][]byte{"shop.dump.gz": gz(t, custom)}, true, "of the archive fetched"},
		"script":       {map[string][]byte{"shop.sql.gz": gz(t, dumpOf(t, "shop"))}, true, "read again from its beginning"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := crashing(t, test.objects)
			var all int64
			for _, content := range test.objects {
				all += int64(len(content))
			}
			// Twice, so that what is gone on with can be gone on with.
			c.Cuts = []enginetest.Cut{{Bytes: all / 2}, {Bytes: all / 4}}
			end := c.Whole(t, want)
			const unknown = 32 << 10 // what the ledger did not know of
			switch {
			case test.again && end.Read < all:
				t.Errorf("%d of %d bytes were read, and the half of them cannot be taken up", end.Read, all)
			case !test.again && end.Read > all/4+2*unknown:
				t.Errorf("%d of %d bytes were read again", end.Read, all)
			}
			if st := step(t, end.State, "restore"); !strings.Contains(st.Checkpoint, test.says) || st.Attempts != 3 {
				t.Errorf("attempt %d, checkpoint %q", st.Attempts, st.Checkpoint)
			}
		})
	}
}

// An archive whose object was replaced meanwhile is not gone on with.
func TestRestore_GoesOnWithTheSameBytesOnly(t *testing.T) {
	content := dumpOf(t, "shop", "--format=custom", "--compress=0")
	c := crashing(t, map[string][]byte{"shop.dump": content})
	c.Cuts = []enginetest.Cut{{Bytes: int64(len(content)) / 2}}
	c.Between = func(int, string) error {
		return os.WriteFile(filepath.Join(c.Copies["nearby"], "shop.dump"), bytes.Clone(content), 0o600)
	}
	end := c.Run(t)
	if says, hint := enginetest.Failure(end.State); end.Result != recovery.ResultFailed || !strings.Contains(says, "changed while it was read") || hint == "" {
		t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
	}
}
