package verify_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/verify"
	"comeback/shop"
	"comeback/shop/shoptest"
	"comeback/storage"
)

// beside is an environment with a database and a tree.
type beside struct {
	recovery.Env
	database, tree string
	artifacts      map[string]*bytes.Buffer
}

func (b beside) Binding(component string) (recovery.Binding, bool) {
	u := b.database
	if component == "uploads" {
		u = (&url.URL{Scheme: "file", Path: b.tree}).String()
	}
	return recovery.Binding{Component: component, URL: u, Scratch: true}, component != "nobody"
}

func (beside) Meter() recovery.Meter { return counting{} }

func (b beside) Artifact(name string) (io.WriteCloser, error) {
	if b.artifacts[name] != nil {
		return nil, fmt.Errorf("create artifact: %w", fs.ErrExist)
	}
	b.artifacts[name] = &bytes.Buffer{}
	return closing{b.artifacts[name]}, nil
}

type counting struct{ quiet }

func (counting) Add(int64) {}

type closing struct{ io.Writer }

func (closing) Close() error { return nil }

// besideBucket has its tree in a bucket, which a directory stands for.
type besideBucket struct{ beside }

func (b besideBucket) Binding(component string) (recovery.Binding, bool) {
	binding, ok := b.beside.Binding(component)
	if component == "uploads" {
		binding.URL, binding.Scratch = recovery.BucketURL("live", filepath.Base(b.tree)+"/"), false
	}
	return binding, ok
}

func (b besideBucket) Store(context.Context, string) (storage.Store, error) {
	return storage.OpenDir(filepath.Dir(b.tree))
}

func checkFiles(ctx context.Context, env recovery.Env, args recovery.FilesCheckArgs) (recovery.Outcome, error) {
	if args.On == "" {
		args.On = "database"
	}
	args.Name, args.Files = "x", "uploads"
	return verify.FilesCheck{}.Do(ctx, env, recovery.NewStep("3.1.check", recovery.KindFilesCheck, "check", args))
}

const uploads = "select path, sha256, bytes from uploads"

// The rows and the files of a real shop agree, and any single one that is off by
// one is found.
func TestFilesCheck(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 50})
	conn, err := pgx.Connect(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	var path string
	var size int64
	if err := conn.QueryRow(t.Context(), "select path, bytes from uploads order by path limit 1 offset 7").Scan(&path, &size); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.Uploads(), path)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) func() {
		return func() {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Error(err)
			}
		}
	}
	changed := bytes.Clone(content)
	changed[len(changed)/2] ^= 1
	back := write(file, content)
	extra := filepath.Join(s.Uploads(), "2026", "nobody's\nfile")
	t.Run("in a bucket", func(t *testing.T) {
		live := besideBucket{beside{database: s.URL(), tree: s.Uploads(), artifacts: map[string]*bytes.Buffer{}}}
		if o, err := checkFiles(t.Context(), live, recovery.FilesCheckArgs{Query: uploads}); err != nil || !o.Check.Held {
			t.Errorf("%+v, %v", o.Check, err)
		}
		write(file, changed)()
		defer back()
		if o, err := checkFiles(t.Context(), live, recovery.FilesCheckArgs{Query: uploads}); err == nil || !strings.Contains(o.Check.Found, "1 different: "+fmt.Sprintf("%q", path)) {
			t.Errorf("%+v, %v", o.Check, err)
		}
	})
	for _, c := range []struct {
		name       string
		args       recovery.FilesCheckArgs
		harm, mend func()
		says, list string // "" where it holds
	}{
		{name: "agree", args: recovery.FilesCheckArgs{Query: uploads + ";"}},
		{name: "agree, by path alone", args: recovery.FilesCheckArgs{Query: "select path from uploads"}},
		{name: "agree, bytea", args: recovery.FilesCheckArgs{Query: "select convert_to(path, 'UTF8'), bytes as size, decode(upper(sha256), 'hex') as sha256 from uploads -- all"}},
		{name: "agree, listed twice", args: recovery.FilesCheckArgs{Query: uploads + " union all " + uploads}},
		{name: "a file is gone", args: recovery.FilesCheckArgs{Query: uploads}, harm: func() { _ = os.Remove(file) }, mend: back,
			says: "1 missing: " + fmt.Sprintf("%q", path), list: fmt.Sprintf("missing\t%q\n", path)},
		{name: "a file is gone, tolerated", args: recovery.FilesCheckArgs{Query: uploads, Missing: "1"}, harm: func() { _ = os.Remove(file) }, mend: back},
		{name: "a file is gone, tolerated in per cent", args: recovery.FilesCheckArgs{Query: uploads, Missing: "5%"}, harm: func() { _ = os.Remove(file) }, mend: back},
		{name: "a file is gone, too much in per cent", args: recovery.FilesCheckArgs{Query: uploads, Missing: "4.9%"}, harm: func() { _ = os.Remove(file) }, mend: back, says: "1 missing"},
		{name: "one bit of a file", args: recovery.FilesCheckArgs{Query: uploads, Missing: "any", Unknown: "any"}, harm: write(file, changed), mend: back,
			says: "1 different: ", list: "different\t" + fmt.Sprintf("%q\tSHA-256 %x, and ", path, sha256.Sum256(changed))},
		{name: "one bit, which nobody compares", args: recovery.FilesCheckArgs{Query: "select path, bytes from uploads"}, harm: write(file, changed), mend: back},
		{name: "a file is cut off", args: recovery.FilesCheckArgs{Query: uploads}, harm: write(file, content[:size-1]), mend: back,
			says: "1 of another size: ", list: fmt.Sprintf("%d bytes, and %d by its row", size-1, size)},
		{name: "a file that nobody knows", args: recovery.FilesCheckArgs{Query: uploads}, harm: write(extra, nil), mend: func() { _ = os.Remove(extra) },
			says: "1 unknown to any row: \"2026/nobody's\\nfile\"", list: "unknown to any row\t\"2026/nobody's\\nfile\"\n"},
		{name: "a file that nobody knows, tolerated", args: recovery.FilesCheckArgs{Query: uploads, Unknown: "any"}, harm: write(extra, nil), mend: func() { _ = os.Remove(extra) }},
		{name: "a row is gone", args: recovery.FilesCheckArgs{Query: uploads + " where path <> '" + path + "'"}, says: "1 unknown to any row: "},
		{name: "no row", args: recovery.FilesCheckArgs{Query: uploads + " where false", Unknown: "any"}, says: "no row names a file"},
		{name: "a row without a path", args: recovery.FilesCheckArgs{Query: uploads + " union all select null, null, null"}, says: "1 missing: \"\""},
		{name: "a path that leads out", args: recovery.FilesCheckArgs{Query: uploads + " union all select '../uploads/' || path, sha256, bytes from uploads"}, says: "20 missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.harm != nil {
				c.harm()
				defer c.mend()
			}
			env := beside{database: s.URL(), tree: s.Uploads(), artifacts: map[string]*bytes.Buffer{}}
			o, err := checkFiles(t.Context(), env, c.args)
			if c.says == "" {
				if err != nil || !o.Check.Held || o.Facts["rows"] == "0" {
					t.Fatalf("%+v, %v", o.Check, err)
				}
				return
			}
			if err == nil || o.Check.Held || !strings.Contains(o.Check.Found, c.says) || !strings.Contains(err.Error(), c.says) || recovery.HintOf(err) == "" {
				t.Errorf("%+v, %v", o.Check, err)
			}
			if list := env.artifacts["3.1.check.differences.txt"]; list == nil || !strings.Contains(list.String(), c.list) {
				t.Errorf("the list is %v", list)
			}
			if _, err := checkFiles(t.Context(), env, c.args); err == nil || env.artifacts["3.1.check.2.differences.txt"] == nil {
				t.Errorf("another attempt: %v, artifacts %v", err, env.artifacts)
			}
		})
	}
	for _, c := range []struct{ name, query, on, says string }{
		{"no such column", "select path, checksum from uploads", "", `column "checksum" does not exist`},
		{"another column", "select path, customer_id from uploads", "", `gives a column "customer_id"`},
		{"too many columns", "select * from uploads", "", "gives 5 columns"},
		{"no digest", "select path, 'abc' as sha256 from uploads", "", "no SHA-256"},
		{"writes", "delete from carts returning id::text", "", "syntax error"},
		{"no database", uploads, "nobody", "nobody has no address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := checkFiles(t.Context(), beside{database: s.URL(), tree: s.Uploads()}, recovery.FilesCheckArgs{Query: c.query, On: c.on})
			if err == nil || !strings.Contains(err.Error(), c.says) || recovery.HintOf(err) == "" || o.Check == nil || o.Check.Held {
				t.Errorf("%+v, %v", o.Check, err)
			}
		})
	}
	t.Run("nothing to compare", func(t *testing.T) {
		_, err := checkFiles(t.Context(), beside{database: s.URL(), tree: t.TempDir()}, recovery.FilesCheckArgs{Query: uploads + " where false"})
		if err == nil || !strings.Contains(err.Error(), "nothing could be compared") {
			t.Error(err)
		}
	})
	t.Run("names beyond any collation", func(t *testing.T) {
		dir := t.TempDir()
		exec("create table odd (path bytea)")
		for _, name := range []string{"a", "a.b", "a b", "B", "ä", "ß", "\xff\xfe", "a-", "Z/é", "Z.x", "日本"} {
			path := filepath.Join(dir, name)
			_ = os.MkdirAll(filepath.Dir(path), 0o700)
			write(path, nil)()
			exec("insert into odd values ($1)", []byte(name))
		}
		o, err := checkFiles(t.Context(), beside{database: s.URL(), tree: dir, artifacts: map[string]*bytes.Buffer{}}, recovery.FilesCheckArgs{Query: "select path from odd"})
		if err != nil || o.Facts["files"] != "11" {
			t.Errorf("%+v, %v", o.Check, err)
		}
	})
	t.Run("a million rows", func(t *testing.T) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		o, err := checkFiles(t.Context(), beside{database: s.URL(), tree: s.Uploads(), artifacts: map[string]*bytes.Buffer{}},
			recovery.FilesCheckArgs{Query: "select 'd/' || i as path, 7 as bytes from generate_series(1, 1000000) i union all select path, bytes from uploads", Missing: "any"})
		runtime.ReadMemStats(&after)
		if err != nil || o.Facts["rows"] != "1000020" || o.Facts["missing"] != "1000000" || o.Facts["unknown to any row"] != "0" {
			t.Errorf("%+v, %v", o, err)
		}
		// What is live in the end but for the list, which the test itself holds.
		if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 300<<20 {
			t.Errorf("the heap has grown by %d bytes", grown)
		}
	})
}
