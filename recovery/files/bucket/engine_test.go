package bucket_test

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/files/bucket"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

func bucketEngine() recovery.Engine { return bucket.New(bucket.Options{SyncEvery: 4 << 10}) }

var inBucket = recovery.Component{Name: "uploads", Kind: recovery.Files, With: "bucket", Settings: recovery.Settings{"prefix": {"uploads/"}}}

// versioned is a bucket that keeps versions.
func versioned(t *testing.T) (*storagetest.S3, dated) {
	t.Helper()
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("shop")
	server.SetVersioning("shop", true)
	store, err := s3.Open(t.Context(), server.Options("shop", ""))
	if err != nil {
		t.Fatal(err)
	}
	v, ok := storage.As[storage.Versioner](store)
	if !ok {
		t.Fatal("the store has no versions")
	}
	return server, dated{store, v, &sync.Map{}, &sync.Map{}, &storage.Versioning{}}
}

// dated is a bucket whose versions have the times at which they were stored, as
// AWS tells them: the test server gives an overwritten version the time of that.
type dated struct {
	storage.Store
	versions storage.Versioner
	at       *sync.Map // times by version
	class    *sync.Map // archives by version
	// rules are those of the bucket, which the test server has not.
	rules *storage.Versioning
}

func (d dated) Versioning(ctx context.Context, prefix string) (storage.Versioning, error) {
	v, err := d.versions.Versioning(ctx, prefix)
	if strings.HasPrefix("uploads/", prefix) { // what the rules are for
		v.Expires, v.Hidden = d.rules.Expires, d.rules.Hidden
	}
	return v, err
}

func (d dated) Versions(ctx context.Context, prefix string) iter.Seq2[storage.Version, error] {
	return func(yield func(storage.Version, error) bool) {
		var same []storage.Version
		unknown := time.Now().UTC()
		flush := func() bool {
			slices.SortStableFunc(same, func(a, b storage.Version) int {
				if a.Latest != b.Latest {
					return map[bool]int{true: -1, false: 1}[a.Latest]
				}
				return b.Modified.Compare(a.Modified)
			})
			for _, v := range same {
				if !yield(v, nil) {
					return false
				}
			}
			same = nil
			return true
		}
		for v, err := range d.versions.Versions(ctx, prefix) {
			if err != nil {
				yield(v, err)
				return
			}
			if class, ok := d.class.Load(v.Version); ok {
				v.Archived = class.(string)
			}
			if len(same) > 0 && same[0].Key != v.Key && !flush() {
				return
			}
			if at, ok := d.at.Load(dateOf(v.Key, v.Version)); ok {
				v.Modified = at.(time.Time)
			} else {
				v.Modified = unknown // made by a recovery, after all of them
			}
			same = append(same, v)
		}
		flush()
	}
}

func (d dated) put(t testing.TB, key, content string) {
	t.Helper()
	o, err := d.Put(t.Context(), key, strings.NewReader(content), storage.PutOptions{Size: int64(len(content))})
	if err != nil {
		t.Fatal(err)
	}
	d.at.Store(dateOf(key, o.Version), time.Now().UTC())
}

// dateOf is what the time of a version is kept under. Those of a time without versions have
// one id.
func dateOf(key, version string) string {
	if version == "" || version == "null" {
		return key
	}
	return version
}

func (d dated) remove(t testing.TB, server *storagetest.S3, key string) {
	t.Helper()
	bucket := "shop"
	out, err := server.Client().DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: &bucket, Key: &key})
	if err != nil || out.VersionId == nil {
		t.Fatalf("%+v, %v", out, err)
	}
	d.at.Store(dateOf(key, *out.VersionId), time.Now().UTC())
}

// removeVersion removes the version of a key that is current.
func (d dated) removeVersion(t testing.TB, server *storagetest.S3, key string) {
	t.Helper()
	o, err := d.Stat(t.Context(), key)
	if err == nil {
		_, err = server.Client().DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: new("shop"), Key: &o.Key, VersionId: &o.Version})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// contents are the files of a tree by their names.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		name, _ := filepath.Rel(dir, p)
		all[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// versions counts what a bucket keeps.
func versions(t testing.TB, store storage.Store) (n int) {
	t.Helper()
	v, ok := storage.As[storage.Versioner](store)
	if !ok {
		t.Fatal("the store has no versions")
	}
	for _, err := range v.Versions(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// Every object is overwritten, and half of them are deleted: what comes back is
// exactly the bytes of each moment, and no version is lost.
func TestBucket_ransomware(t *testing.T) {
	server, store := versioned(t)
	at := map[string]map[string]string{} // by moments
	var moments []time.Time
	now := map[string]string{}
	keep := func() {
		m := time.Now().UTC()
		moments = append(moments, m)
		at[m.String()] = map[string]string{}
		for name, text := range now {
			at[m.String()][name] = text
		}
	}
	write := func(name, text string) {
		store.put(t, "uploads/"+name, text)
		now[name] = text
	}
	store.put(t, "elsewhere/a", "not asked for")
	for i := range 150 {
		write(fmt.Sprintf("%d/photo %d.jpg", i%7, i), strings.Repeat(fmt.Sprint(i, " "), i))
	}
	keep()
	store.remove(t, server, "uploads/0/photo 0.jpg")
	delete(now, "0/photo 0.jpg")
	write("1/photo 1.jpg", "another picture")
	write("new", "new")
	keep()
	write("0/photo 0.jpg", "it is back")
	keep()
	for i := range 150 { // the ransomware
		name := fmt.Sprintf("%d/photo %d.jpg", i%7, i)
		write(name, "encrypted; send one bitcoin")
		if i%2 == 0 {
			store.remove(t, server, "uploads/"+name)
			delete(now, name)
		}
	}
	keep()
	kept := versions(t, store)
	for _, m := range moments {
		s := survey(t, bucketEngine(), inBucket, store)
		p, err := bucketEngine().Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantTime, Time: m, Text: "then"}, store)
		if err != nil {
			t.Fatalf("%v (%s)", err, recovery.HintOf(err))
		}
		var restored map[string]string
		end := enginetest.Restore(t, enginetest.Options{Engine: bucketEngine(), Component: inBucket, Point: p, Owner: recovery.User{UID: -1, GID: -1},
			Stores: map[string]storage.Store{"nearby": store}, Probe: func(_ context.Context, env recovery.Env) error {
				dir, err := treeOf(env, "uploads")
				if err == nil {
					restored = contents(t, dir)
				}
				return err
			}})
		passed(t, end)
		if diff := cmp.Diff(at[m.String()], restored); diff != "" {
			t.Errorf("at %s: %s", m, diff)
		}
		if p.Exactness != recovery.ToSecond || end.Steps[0].Outcome.Facts["files"] != fmt.Sprint(len(restored)) {
			t.Errorf("%+v, %+v", p, end.Steps[0].Outcome)
		}
	}
	// By the times that the test server itself tells nothing would be right.
	raw := store.Store
	_, err := bucketEngine().Resolve(t.Context(), survey(t, bucketEngine(), inBucket, raw), latest, raw)
	if err == nil || !strings.Contains(err.Error(), "not their own") || recovery.HintOf(err) == "" {
		t.Error(err)
	}
	if n := versions(t, store); n != kept {
		t.Errorf("of %d versions %d are left", kept, n)
	}
	// Before the first version nothing is known, and so nothing is promised.
	_, err = bucketEngine().Resolve(t.Context(), survey(t, bucketEngine(), inBucket, store),
		recovery.Want{Kind: recovery.WantTime, Time: moments[0].Add(-time.Hour), Text: "an hour before"}, store)
	if err == nil || !strings.Contains(err.Error(), "is not known") || recovery.HintOf(err) == "" || recovery.ExitOf(err) != recovery.Refused {
		t.Error(err)
	}
	// A failure midway is gone on from, without the same objects again.
	faulty := storagetest.NewFaulty(store)
	o := options(t, bucketEngine(), inBucket, store)
	o.Stores["nearby"] = faulty
	faulty.Inject(storagetest.Fault{Op: storagetest.OnOpen, After: 70, Times: 1000, Err: storagetest.Expired})
	o.Answer = func(recovery.StepState) recovery.Choice {
		faulty.Heal()
		return recovery.ChooseRetry
	}
	end := enginetest.Restore(t, o)
	passed(t, end)
	if end.Steps[0].Attempts != 2 {
		t.Errorf("%d attempts", end.Steps[0].Attempts)
	}
}

// An object in the middle fails when those after it are there already: what is noted ends
// before it, so that the next attempt has it, and does not fetch again what was noted.
func TestBucket_goesOn(t *testing.T) {
	_, store := versioned(t)
	want := map[string]string{}
	for i := range 200 {
		name := fmt.Sprintf("%03d", i)
		want[name] = strings.Repeat(name, i)
		store.put(t, "uploads/"+name, want[name])
	}
	for fails, again := range map[string]int{"000": 200, "063": 200, "064": 136, "130": 72} {
		t.Run(fails, func(t *testing.T) {
			faulty := storagetest.NewFaulty(store)
			held, last := storagetest.NewGate(), storagetest.NewGate()
			faulty.Inject(storagetest.Fault{Op: storagetest.OnOpen, Key: "uploads/" + fails, Times: 1, Gate: held, Err: storagetest.Expired},
				storagetest.Fault{Op: storagetest.OnOpen, Key: "uploads/199", Times: 1, Gate: last})
			o := options(t, bucketEngine(), inBucket, store)
			o.Stores["nearby"] = faulty
			noted := make(chan struct{}, len(want))
			o.Event = func(e recovery.Event) {
				if e.Type == (recovery.StepCheckpoint{}).EventType() {
					noted <- struct{}{}
				}
			}
			go func() {
				<-last.Entered()
				for range (len(want) - again) / 64 {
					<-noted
				}
				held.Open()
			}()
			before := 0
			o.Answer = func(recovery.StepState) recovery.Choice {
				before = faulty.Calls(storagetest.OnOpen)
				faulty.Heal()
				return recovery.ChooseRetry
			}
			var restored map[string]string
			o.Probe = func(_ context.Context, env recovery.Env) error {
				dir, err := treeOf(env, "uploads")
				if err == nil {
					restored = contents(t, dir)
				}
				return err
			}
			end := enginetest.Restore(t, o)
			passed(t, end)
			if diff := cmp.Diff(want, restored); diff != "" {
				t.Error(diff)
			}
			if n := faulty.Calls(storagetest.OnOpen) - before; end.Steps[0].Attempts != 2 || n != again {
				t.Errorf("%d attempts, the second opened %d objects of %d, want %d", end.Steps[0].Attempts, n, len(want), again)
			}
		})
	}
}

// Where versions were removed since the moment was chosen, what is left is not taken for
// all.
func TestBucket_removedSince(t *testing.T) {
	server, store := versioned(t)
	for _, name := range []string{"a", "b", "c"} {
		store.put(t, "uploads/"+name, name)
	}
	faulty := storagetest.NewFaulty(store)
	o := options(t, bucketEngine(), inBucket, store)
	o.Stores["nearby"] = faulty
	faulty.Inject(storagetest.Fault{Op: storagetest.OnOpen, Key: "uploads/a", Times: 1, Err: storagetest.Expired})
	o.Answer = func(s recovery.StepState) recovery.Choice {
		if s.Attempts > 1 {
			return recovery.ChooseStop
		}
		faulty.Heal()
		store.removeVersion(t, server, "uploads/c")
		return recovery.ChooseRetry
	}
	end := enginetest.Restore(t, o)
	if says, hint := enginetest.Failure(end); end.Result == recovery.ResultPassed || !strings.Contains(says, "1 object") || !strings.Contains(says, "removed since") || !strings.Contains(hint, "choose the moment again") {
		t.Errorf("it ended %s: %s (%s)", end.Result, says, hint)
	}
}

// What was written while a bucket kept no versions has taken the place of what was there
// before: what that was is not known, and said of each such key, in the plan and at the end.
func TestBucket_suspended(t *testing.T) {
	server, store := versioned(t)
	now := func() time.Time { return time.Now().UTC() }
	for _, name := range []string{"a", "deleted", "untouched"} {
		store.put(t, "uploads/"+name, "first")
	}
	before := now()
	server.SetVersioning("shop", false)
	store.put(t, "uploads/a", "second")
	store.put(t, "uploads/new", "second")
	within := now()
	store.put(t, "uploads/a", "third")
	store.put(t, "uploads/new", "third")
	store.remove(t, server, "uploads/deleted")
	after := now()
	server.SetVersioning("shop", true)
	store.put(t, "uploads/a", "fourth")
	store.put(t, "uploads/new", "fourth")
	store.put(t, "uploads/versioned", "fourth")
	last := now()
	doubted := []string{"a", "deleted", "new"}
	for name, c := range map[string]struct {
		at     time.Time
		doubts []string
		want   map[string]string
	}{
		"before that time":     {before, doubted, map[string]string{"a": "first", "deleted": "first", "untouched": "first"}},
		"within it":            {within, doubted, map[string]string{"a": "first", "deleted": "first", "untouched": "first"}},
		"after the last write": {after, nil, map[string]string{"a": "third", "new": "third", "untouched": "first"}},
		"after it":             {last, nil, map[string]string{"a": "fourth", "new": "fourth", "untouched": "first", "versioned": "fourth"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := bucketEngine().Resolve(t.Context(), survey(t, bucketEngine(), inBucket, store), recovery.Want{Kind: recovery.WantTime, Time: c.at, Text: "then"}, store)
			if err != nil {
				t.Fatalf("%v (%s)", err, recovery.HintOf(err))
			}
			var restored map[string]string
			end := enginetest.Restore(t, enginetest.Options{Engine: bucketEngine(), Component: inBucket, Point: p, Owner: recovery.User{UID: -1, GID: -1},
				Stores: map[string]storage.Store{"nearby": store}, Probe: func(_ context.Context, env recovery.Env) error {
					dir, err := treeOf(env, "uploads")
					if err == nil {
						restored = contents(t, dir)
					}
					return err
				}})
			if diff := cmp.Diff(c.want, restored); diff != "" {
				t.Error(diff)
			}
			want := recovery.ResultPassed
			if len(c.doubts) > 0 {
				want = recovery.ResultExceptions
			}
			says := end.Steps[0].Outcome.Exceptions
			if end.Result != want || len(says) != len(c.doubts) || len(p.Warnings) != min(len(says), 1) {
				t.Fatalf("it ended %s: %q; the plan warns %q", end.Result, says, p.Warnings)
			}
			for i, key := range c.doubts {
				if !strings.Contains(says[i], `"uploads/`+key+`"`) || !strings.Contains(says[i], "kept no versions") {
					t.Errorf("of %s: %q", key, says[i])
				}
			}
			if len(says) > 0 && (!strings.Contains(p.Warnings[0], "3 keys") || !strings.Contains(p.Warnings[0], `"uploads/a"`) || !strings.Contains(p.Warnings[0], "another moment")) {
				t.Errorf("the plan warns %q", p.Warnings)
			}
		})
	}
}

// A bucket that keeps no versions, and a copy that is none, are refused with
// what to do; nobody takes a bucket for the uploads who was not told so.
func TestBucket_refuses(t *testing.T) {
	server, store := versioned(t)
	store.put(t, "uploads/a", "a")
	server.SetVersioning("shop", false)
	_, err := bucketEngine().Resolve(t.Context(), survey(t, bucketEngine(), inBucket, store), latest, store)
	if err == nil || !strings.Contains(err.Error(), "keeps no versions") || recovery.HintOf(err) == "" {
		t.Error(err)
	}
	other := inBucket
	other.With = ""
	if s := survey(t, bucketEngine(), other, store); len(s.Backups) > 0 {
		t.Errorf("%+v", s.Backups)
	}
	enginetest.Suite(t, bucketEngine(), directory(t))
}

// What was current at the moment and lies in an archive is counted, and nothing else.
func TestBucket_archived(t *testing.T) {
	_, store := versioned(t)
	for _, text := range []string{"older", "then"} {
		store.put(t, "uploads/a", text)
		store.put(t, "uploads/b", text)
		for v, err := range store.Versions(t.Context(), "uploads/a") {
			if err != nil {
				t.Fatal(err)
			}
			store.class.Store(v.Version, "GLACIER")
		}
	}
	p, err := bucketEngine().Resolve(t.Context(), survey(t, bucketEngine(), inBucket, store), latest, store)
	if err != nil {
		t.Fatal(err)
	}
	want := recovery.Archived{Objects: 1, Bytes: 4, Class: "GLACIER", First: "uploads/a"}
	if in := p.Backup.InArchive(); in != want {
		t.Errorf("%+v", in)
	}
}

// The window begins where versions begin and where a rule has left them; what may have
// been removed is not said to be absent.
func TestBucket_window(t *testing.T) {
	_, store := versioned(t)
	const day = 24 * time.Hour
	now := time.Now().UTC()
	for name, ago := range map[string]time.Duration{"uploads/a": 10 * day, "uploads/b": 2 * day, "elsewhere/a": 10 * day} {
		o, err := store.Put(t.Context(), name, strings.NewReader("x"), storage.PutOptions{Size: 1})
		if err != nil {
			t.Fatal(err)
		}
		store.at.Store(o.Version, now.Add(-ago))
	}
	for _, c := range []struct {
		name   string
		rules  storage.Versioning
		since  string
		prefix string
		ago    time.Duration
		known  bool
		warned bool
	}{
		{name: "since the first version", ago: 9 * day, known: true},
		{name: "before it", ago: 11 * day},
		{name: "before it, as the runbook says", since: now.Add(-20 * day).Format(time.RFC3339), ago: 11 * day, known: true},
		{name: "within what a rule leaves", rules: storage.Versioning{Expires: 5 * day}, ago: 4 * day, known: true},
		{name: "before that", rules: storage.Versioning{Expires: 5 * day}, ago: 6 * day},
		{name: "before that, whatever the runbook says", rules: storage.Versioning{Expires: 5 * day}, since: now.Add(-20 * day).Format(time.RFC3339), ago: 6 * day},
		{name: "a rule for what lies elsewhere", rules: storage.Versioning{Expires: 5 * day}, prefix: "elsewhere/", ago: 6 * day, known: true},
		{name: "a rule of long ago, and versions of late", rules: storage.Versioning{Expires: 90 * day}, ago: 11 * day},
		{name: "the rules may not be read", rules: storage.Versioning{Hidden: true}, ago: 9 * day, known: true, warned: true},
	} {
		*store.rules = c.rules
		component := inBucket
		component.Settings = recovery.Settings{"prefix": {"uploads/"}}
		if c.prefix != "" {
			component.Settings["prefix"] = []string{c.prefix}
		}
		if c.since != "" {
			component.Settings["versioned_since"] = []string{c.since}
		}
		p, err := bucketEngine().Resolve(t.Context(), survey(t, bucketEngine(), component, store), recovery.Want{Kind: recovery.WantTime, Time: now.Add(-c.ago), Text: "then"}, store)
		if known := err == nil; known != c.known || !known && (!strings.Contains(err.Error(), "is not known") || recovery.HintOf(err) == "") {
			t.Errorf("%s: %v", c.name, err)
		}
		if warned := len(p.Warnings) == 1 && strings.Contains(p.Warnings[0], "s3:GetLifecycleConfiguration"); warned != c.warned {
			t.Errorf("%s: %q", c.name, p.Warnings)
		}
	}
}
