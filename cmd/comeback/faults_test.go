package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/shop/shoptest"
	"comeback/storagetest"

	"github.com/klauspost/compress/zstd"
)

// plainDump is the text of the shop's nightly dump.
func plainDump(t testing.TB) []byte {
	t.Helper()
	l := theShop(t)
	f, err := os.Open(filepath.Join(l.Copy(), l.dump))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// pgDump runs one of PostgreSQL's programs on the live shop.
func pgDump(t testing.TB, program string, args ...string) []byte {
	t.Helper()
	tools, err := postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tools.Program(program), args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v %s", program, err, stderr.String())
	}
	return out
}

// copyWith is a directory with these files.
func copyWith(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := shoptest.Dir(t)
	for name, b := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ends runs a rehearsal and checks that it ended properly: a journal with an
// end, a report, nothing left (the rig looks), and a live shop as it was.
func (r *rig) ends(t *testing.T, dir string, want []digest, args ...string) output {
	t.Helper()
	l := theShop(t)
	before, err := digests(t.Context(), l.URL())
	if err != nil {
		t.Fatal(err)
	}
	got := r.run(t.Context(), append([]string{"rehearse", runbook(t, fmt.Sprintf("{url: %q}", "file://"+dir), want, ""), "--plain"}, args...)...)
	after, err := digests(t.Context(), l.URL())
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("the live shop is not what it was: %v", err)
	}
	if runs, err := filepath.Glob(filepath.Join(r.state, "runs", "*")); err == nil && len(runs) == 1 {
		if show := r.run(t.Context(), "report", "show", filepath.Base(runs[0])); show.code != recovery.CameBack {
			t.Errorf("there is no report: %s", show.err)
		}
	}
	return got
}

// Now every format of a dump brings back every table, whatever made it.
func TestDump_formats(t *testing.T) {
	t.Parallel()
	l := theShop(t)
	now, err := digests(t.Context(), l.URL())
	if err != nil {
		t.Fatal(err)
	}
	super := l.Layout.URL("postgres", "shop")
	tree := filepath.Join(t.TempDir(), "tree")
	pgDump(t, "pg_dump", "-Fd", "-f", tree, l.URL())
	directory := map[string][]byte{}
	entries, err := os.ReadDir(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if directory["nightly/"+e.Name()], err = os.ReadFile(filepath.Join(tree, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	text := pgDump(t, "pg_dump", l.URL())
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]map[string][]byte{
		"custom":       {"shop.dump": pgDump(t, "pg_dump", "-Fc", l.URL())},
		"tar":          {"shop.tar": pgDump(t, "pg_dump", "-Ft", l.URL())},
		"directory":    directory,
		"plain":        {"shop.sql": text},
		"plain gz":     {"odd name without ending": gzipped(t, text)},
		"plain zst":    {"shop.sql.zst": z.EncodeAll(text, nil)},
		"create clean": {"shop.sql": pgDump(t, "pg_dump", "-C", "-c", l.URL())},
		"inserts":      {"shop.sql": pgDump(t, "pg_dump", "--inserts", "--rows-per-insert=50", l.URL())},
		"pg_dumpall":   {"all.sql.gz": gzipped(t, pgDump(t, "pg_dumpall", "-d", super))},
	} {
		if !sampled(name, "custom", "directory", "plain gz", "pg_dumpall") { // package dump's tests restore every form
			continue
		}
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if got := r.ends(t, copyWith(t, files), now, "--engine", "dump"); got.code != recovery.CameBack {
				t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
			}
		})
	}
}

// What a dump must not do, or cannot be, is one sentence with a next step.
func TestDump_faults(t *testing.T) {
	t.Parallel()
	l := theShop(t)
	text := plainDump(t)
	custom := pgDump(t, "pg_dump", "-Fc", l.URL())
	// The archive's format 1.16, of pg_dump 17: the level of the compression
	// gave way to its algorithm.
	newer := slices.Concat(custom[:6], []byte{16}, custom[7:11], []byte{1}, custom[16:])
	future := slices.Clone(custom)
	future[6] = 99
	touched := filepath.Join(t.TempDir(), "touched")
	middle := func(line string) []byte {
		at := bytes.Index(text, []byte("\nCOPY "))
		return slices.Concat(text[:at+1], []byte(line+"\n"), text[at+1:])
	}
	for name, c := range map[string]struct {
		file       string
		content    []byte
		code       recovery.Exit
		says, next string
	}{
		"truncated gzip":       {"shop.sql.gz", gzipped(t, text)[:20_000], recovery.Failed, "", "next: "},
		"died mid-pipe":        {"shop.sql.gz", gzipped(t, text[:len(text)/2]), recovery.Failed, "", "next: "},
		"no end":               {"shop.sql", text[:len(text)-200], recovery.Failed, "", "next: "},
		"truncated archive":    {"shop.dump", custom[:len(custom)/2], recovery.Failed, "", "next: "},
		"flipped byte":         {"shop.sql.gz", flipped(gzipped(t, text)), recovery.Failed, "", "next: "},
		"SQL error":            {"shop.sql", middle("select 1/0;"), recovery.Failed, "division by zero", "next: "},
		"missing extension":    {"shop.sql", middle("CREATE EXTENSION nosuch;"), recovery.Failed, "nosuch", "next: "},
		"shell escape":         {"shop.sql", middle(`\! touch ` + touched), recovery.Refused, `\!`, "next: "},
		"copy from program":    {"shop.sql", middle("COPY carts FROM PROGRAM 'touch " + touched + "';"), recovery.Refused, "PROGRAM", "next: "},
		"psql include":         {"shop.sql", middle(`\i /etc/passwd`), recovery.Refused, `\i`, "next: "},
		"newer archive":        {"shop.dump", newer, recovery.Failed, "1.16", "next: "},
		"archive of some day":  {"shop.dump", future, recovery.Failed, "1.99", "next: "},
		"empty":                {"shop.sql.gz", nil, recovery.Failed, "no copy holds a backup of database", "next: "},
		"not a dump":           {"shop.sql.gz", gzipped(t, []byte("Dear diary")), recovery.Failed, "no copy holds a backup of database", "next: "},
		"somebody's other SQL": {"shop.sql", []byte("select 1;\n"), recovery.Failed, "no copy holds a backup of database", "next: "},
	} {
		if !sampled(name, "flipped byte", "truncated archive", "copy from program", "SQL error", "empty") { // so do package dump's, with every fault
			continue
		}
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			got := r.ends(t, copyWith(t, map[string][]byte{c.file: c.content}), nil, "--engine", "dump")
			all := got.out + got.err
			if got.code != c.code || !strings.Contains(all, c.says) || !strings.Contains(all, c.next) || strings.Contains(all, "EVERY CHECK HELD") {
				t.Errorf("exit %d, want %d\n%s", got.code, c.code, all)
			}
			t.Log(lastLines(all))
			if _, err := os.Stat(touched); err == nil {
				t.Error("a command of the dump was run")
			}
		})
	}
}

// lastLines are those that say what went wrong.
func lastLines(text string) string {
	var keep []string
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, "FAILED: ") || strings.Contains(line, "next: ") || strings.HasPrefix(line, "comeback: ") {
			keep = append(keep, line)
		}
	}
	return strings.Join(keep, "\n")
}

func flipped(b []byte) []byte {
	b = slices.Clone(b)
	b[len(b)/2] ^= 0x10
	return b
}

// What newer programs write and this server does not know is left out and said.
func TestDump_newerSettings(t *testing.T) {
	l, r := theShop(t), newRig(t)
	text := bytes.Replace(plainDump(t), []byte("SET lock_timeout = 0;"), []byte("SET lock_timeout = 0;\nSET transaction_timeout = 0;\nSET transaction_timeout_of_99 = 0;"), 1)
	got := r.ends(t, copyWith(t, map[string][]byte{"shop.sql": text}), l.atDump, "--engine", "dump")
	if got.code != recovery.CameBack || !strings.Contains(got.out, "transaction_timeout_of_99") {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
	}
}

// copyOfShop is the shop's copy, for a test to damage.
func copyOfShop(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(shoptest.Dir(t), "copy")
	if err := os.CopyFS(dir, os.DirFS(theShop(t).Copy())); err != nil {
		t.Fatal(err)
	}
	return dir
}

// segmentOf is the archived segment of 1 MB that holds a position.
func segmentOf(lsn recovery.LSN) string {
	n := uint64(lsn) >> 20
	return fmt.Sprintf("wal/00000001%08X%08X", n>>12, n&0xfff)
}

func TestPITR_faults(t *testing.T) {
	l := theShop(t)
	harm := fmt.Sprintf("before-xid:%d", l.incident.Harm.XID)
	change := func(t *testing.T, dir, name string, f func([]byte) []byte) {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	harmful := segmentOf(l.incident.Harm.LSN)
	between := segmentOf(l.middle.LSN)
	for name, c := range map[string]struct {
		damage func(t *testing.T, dir string)
		to     string
		code   recovery.Exit
		says   []string
	}{
		"missing segment": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, between)); err != nil {
				t.Fatal(err)
			}
		}, harm, recovery.Refused, []string{filepath.Base(between), "missing"}},
		"zero-byte segment": {func(t *testing.T, dir string) {
			change(t, dir, between, func([]byte) []byte { return nil })
		}, harm, recovery.Refused, []string{filepath.Base(between), "empty"}},
		"short segment": {func(t *testing.T, dir string) {
			change(t, dir, between, func(b []byte) []byte { return b[:len(b)-1] })
		}, harm, recovery.Refused, []string{filepath.Base(between), "size"}},
		"a segment of another system": {func(t *testing.T, dir string) {
			change(t, dir, between, func(b []byte) []byte { b = slices.Clone(b); b[24] ^= 1; return b })
		}, harm, recovery.Refused, []string{filepath.Base(between), "belongs to another cluster"}},
		"flipped byte in the base backup": {func(t *testing.T, dir string) {
			change(t, dir, l.base+"/base.tar.gz", flipped)
		}, harm, recovery.Failed, []string{"base.tar.gz"}},
		"truncated base backup": {func(t *testing.T, dir string) {
			change(t, dir, l.base+"/base.tar.gz", func(b []byte) []byte { return b[:len(b)/2] })
		}, harm, recovery.Failed, []string{"base.tar.gz"}},
		"before the backup's end": {nil, "lsn:0/500000", recovery.Refused, []string{"is before the window"}},
		"after the archive's end": {nil, "2099-01-01T00:00:00Z", recovery.Refused, []string{"after"}},
		"the harm is not archived": {func(t *testing.T, dir string) {
			all, err := filepath.Glob(filepath.Join(dir, "wal", "0*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range all {
				if filepath.Base(path) >= filepath.Base(harmful) {
					if err := os.Remove(path); err != nil {
						t.Fatal(err)
					}
				}
			}
		}, harm, recovery.Refused, []string{fmt.Sprint(l.incident.Harm.XID)}},
	} {
		t.Run(name, func(t *testing.T) {
			r, dir := newRig(t), copyOfShop(t)
			if c.damage != nil {
				c.damage(t, dir)
			}
			got := r.ends(t, dir, l.before, "--engine", "pitr", "--to", c.to)
			all := got.out + got.err
			for _, says := range append(c.says, "next: ") {
				if !strings.Contains(all, says) {
					t.Errorf("it does not say %q", says)
				}
			}
			if got.code != c.code || strings.Contains(all, "EVERY CHECK HELD") || t.Failed() {
				t.Errorf("exit %d, want %d\n%s", got.code, c.code, all)
			}
			t.Log(lastLines(all))
		})
	}
}

func TestS3_faults(t *testing.T) {
	l := theShop(t)
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	upload(t, server, l.Copy())
	stranger := server.CreateUser("stranger")
	at := func(bucket, more string) string {
		return fmt.Sprintf("{url: \"s3://%s/shop\", region: %s, endpoint: %q, path_style: true%s}", bucket, storagetest.Region, server.Endpoint(), more)
	}
	for name, c := range map[string]struct {
		copyYAML string
		change   func(t *testing.T)
		says     string
	}{
		"missing bucket": {at("nowhere", ""), nil, "the bucket nowhere does not exist"},
		"denied":         {at("backups", ""), func(t *testing.T) { server.SetenvAs(t, stranger) }, "ccess"},
		"unknown key": {at("backups", ""), func(t *testing.T) {
			server.SetenvAs(t, storagetest.Account{AccessKey: "AKIANOBODY", SecretKey: "nothing-at-all-here"})
		}, "does not exist in our records"},
		"unreachable": {`{url: "s3://backups/shop", region: eu-central-1, endpoint: "http://127.0.0.1:1", path_style: true}`, nil, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.change != nil {
				c.change(t)
			}
			r := newRig(t)
			got := r.run(t.Context(), "rehearse", runbook(t, c.copyYAML, nil, ""), "--plain")
			if got.code == recovery.CameBack || !strings.Contains(got.err, c.says) || !strings.Contains(got.err, "next: ") || strings.Contains(got.err+got.out, stranger.SecretKey) {
				t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
			}
			t.Log(lastLines(got.err))
			r.noRun(t)
		})
	}
}
