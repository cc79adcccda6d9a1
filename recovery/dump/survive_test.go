package dump_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/dump"
	"comeback/recovery/postgres"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
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

// Out of a bucket, too: when the credentials are renewed, the rest comes. The
// bucket's own checksum is compared over the whole; where somebody has written
// into what was there, all of it comes again.
func TestRestore_GoesOnFromS3(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	bucket, err := s3.Open(t.Context(), server.Options("backups", ""))
	if err != nil {
		t.Fatal(err)
	}
	content := dumpOf(t, "shop", "--format=custom", "--compress=0")
	if _, err := bucket.Put(t.Context(), "shop.dump", bytes.NewReader(content), storage.PutOptions{Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	half := int64(len(content)) / 2
	store := storagetest.NewFaulty(bucket)
	var failed []string
	var archive string
	end, restored := run(t, enginetest.Options{Engine: crashEngine(), Event: func(e recovery.Event) {
		switch p, _ := e.Payload(); p := p.(type) {
		case recovery.ClaimMade:
			if p.Resource.Kind == recovery.Cluster {
				archive = filepath.Join(filepath.Dir(p.Resource.ID), "archive", "dump")
			}
		case recovery.StepStarted:
			if p.Step == "restore" && p.Attempt == 1 {
				store.Inject(storagetest.Fault{Op: storagetest.OnRead, At: half, Err: storagetest.Expired})
			}
		}
	}, Answer: func(st recovery.StepState) recovery.Choice {
		if failed = append(failed, st.Error); len(failed) > 1 {
			return recovery.ChooseStop
		}
		store.Heal()
		f, err := os.OpenFile(archive, os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteAt([]byte("XXXX"), 100)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Error(err)
		}
		return recovery.ChooseRetry
	}}, store)
	if len(failed) != 1 || !strings.Contains(failed[0], "expired") {
		t.Errorf("the failures are %q", failed)
	}
	if end.Result != recovery.ResultPassed || restored != state(t, source.URL("shop")) {
		says, hint := enginetest.Failure(end)
		t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
	}
}

// A server that is killed after the restore and before the cluster is settled
// may have left half a page: the restore is done again.
func TestSettle_ServerKilled(t *testing.T) {
	c := crashing(t, map[string][]byte{"shop.dump": dumpOf(t, "shop", "--format=custom")})
	var restored uint64
	c.Event = func(e recovery.Event) {
		if p, _ := e.Payload(); p == (recovery.StepStarted{Step: "settle", Attempt: 1}) {
			restored = e.Seq
		}
	}
	want := c.Run(t).Restored
	c.Cuts = []enginetest.Cut{{After: restored}}
	c.Between = func(_ int, scratch string) error {
		// As pg_controldata shows it of a server that was killed.
		tools := source.Cluster().Tools
		cluster := postgres.Cluster{Data: filepath.Join(scratch, "data"), Owner: c.Owner, Tools: tools}
		if err := cluster.Halt(t.Context()); err != nil {
			return err
		}
		server, err := postgres.Start(t.Context(), plainEnv{}, cluster, postgres.StartOptions{WaitReady: true})
		if err != nil {
			return err
		}
		if err := syscall.Kill(server.PID(), syscall.SIGKILL); err != nil {
			return err
		}
		<-server.Exited()
		return nil
	}
	end := c.Whole(t, want)
	if n := step(t, end.State, "restore").Attempts; n != 2 {
		t.Errorf("the restore was done %d times", n)
	}
}
