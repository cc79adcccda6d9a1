package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/check"
	"comeback/recovery/schedule"
	"comeback/shop/shoptest"
)

// Units and crontabs are written where they belong and taken away again, whole; a
// file of somebody else is left alone, and what systemd refuses is said.
func TestSchedule(t *testing.T) {
	r, ctx, dir := newRig(t), t.Context(), t.TempDir()
	book := filepath.Join(t.TempDir(), "shop.md")
	text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\nrehearse: 90d\nneeds: {DATABASE_URL: \"the vault\"}\ncopies:\n  nearby: {url: \"file://%s\"}\n"+
		"components:\n  database: {kind: postgres, url: \"${DATABASE_URL}\", receiver: comeback, retain: [7 daily]}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: database\n```\n", t.TempDir())
	if err := os.WriteFile(book, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run(ctx, "schedule", book).has(t, recovery.CameBack, "[Timer]", "--auto", "\"wal\" \"receive\"", "\"retain\"")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Fatalf("written without --install: %v, %v", left, err)
	}
	// The jobs are those of whoever runs this test: others cannot get to its directories.
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	environment := filepath.Join(t.TempDir(), "shop.env")
	mine := []string{"--user", me.Username, "--environment", environment}
	r.run(ctx, append([]string{"schedule", book, "--dir", dir, "--install", "--key", key}, mine...)...).has(t, recovery.Refused,
		"the values of DATABASE_URL: there is no "+environment, "a line NAME=VALUE each", "the key: "+key+" is not there")
	for _, path := range []string{key, environment} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// An empty file, as the recipe makes it, has no values yet.
	r.run(ctx, append([]string{"schedule", book, "--dir", dir, "--install", "--key", key}, mine...)...).has(t, recovery.Refused,
		"the values of DATABASE_URL: "+environment+" does not say them", "a line NAME=VALUE each")
	if err := os.WriteFile(environment, []byte("DATABASE_URL=postgres://\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run(ctx, "schedule", book, "--remove").has(t, recovery.CameBack, "nothing is installed for shop in "+filepath.Join(r.state, "units")+" or "+filepath.Join(r.state, "cron"))
	r.run(ctx, "schedule", book, "--dir", dir, "--install", "--user", "daemon", "--environment", environment).has(t, recovery.Refused,
		"the jobs would run as daemon", "the state: "+r.state+" lies in ", "closed to daemon", "install -d -o daemon -g daemon -m 2770 /var/lib/comeback")
	r.run(ctx, "schedule", book, "--dir", dir, "--on-failure", "mail -s 'it failed").has(t, recovery.Usage, "a quote ' is not closed")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Fatalf("written although it was refused: %v, %v", left, err)
	}
	// What check sees of the job that backs up the database.
	jobs := func(told, idle bool) {
		t.Helper()
		a := r.app(io.Discard, io.Discard)
		a.unitDir, a.cronDir = dir, dir
		b, _, err := a.open(t.Context(), book)
		if err != nil {
			t.Fatal(err)
		}
		all := a.scheduled(b)
		i := slices.IndexFunc(all, func(j check.Job) bool { return j.Component == "database" })
		if i < 0 || len(all) != 6 || all[i] != (check.Job{Name: "backup-database", Unit: "comeback-shop-backup-database.timer", Component: "database", Told: told, Idle: idle}) {
			t.Errorf("%+v", all)
		}
	}
	jobs(false, false)
	for _, form := range [][]string{nil, {"--cron"}} {
		args := slices.Concat([]string{"schedule", book, "--dir", dir, "--on-success", "curl -fsS -H 'X-Job: {job}, \"done\"' https://hc.example.com/{job}", "--key", key,
			"--max-disk", "50GB", "--min-memory", "1500MB"}, mine, form)
		for range 2 { // what it has written it may replace
			r.run(ctx, append(args, "--install")...).has(t, recovery.CameBack, "wrote  "+dir)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) == 0 || form != nil && len(files) != 1 {
			t.Fatalf("%v: %v, %v", form, files, err)
		}
		whole := ""
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			whole += string(b)
		}
		for _, want := range []string{"https://hc.example.com/check", key, "--auto", "50GB", "1500MB", "X-Job: check, "} {
			if !strings.Contains(whole, want) {
				t.Errorf("%v: the files lack %s:\n%s", form, want, whole)
			}
		}
		jobs(form != nil, form == nil)
		if form == nil { // as systemctl enable does it
			wants := filepath.Join(dir, "timers.target.wants")
			for _, err := range []error{os.Mkdir(wants, 0o755), os.Symlink("../comeback-shop-backup-database.timer", filepath.Join(wants, "comeback-shop-backup-database.timer"))} {
				if err != nil {
					t.Fatal(err)
				}
			}
			jobs(true, false)
			if err := os.RemoveAll(wants); err != nil {
				t.Fatal(err)
			}
		}
		foreign := filepath.Join(dir, "comeback-shop-own.timer")
		if err := os.WriteFile(foreign, []byte("[Timer]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r.run(ctx, append(args, "--remove")...).has(t, recovery.CameBack, "removed  "+dir)
		if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 || left[0] != foreign || os.Remove(foreign) != nil {
			t.Errorf("%v: left %v, %v", form, left, err)
		}
	}
	// A file of that name that somebody else has written.
	path := filepath.Join(dir, "comeback-shop-check.timer")
	if err := os.WriteFile(path, []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := r.run(ctx, append([]string{"schedule", book, "--dir", dir, "--install"}, mine...)...)
	if b, err := os.ReadFile(path); err != nil || string(b) != "mine\n" || got.code != recovery.Failed || !strings.Contains(got.err, "comeback has not written") {
		t.Errorf("exit %d: %s, %q, %v", got.code, got.err, b, err)
	}
	// systemd's refusal comes in its own words.
	t.Setenv("PATH", t.TempDir())
	if err := os.WriteFile(filepath.Join(os.Getenv("PATH"), "systemctl"), []byte("#!/bin/sh\necho System has not been booted with systemd >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	err = systemctl(ctx, "use --cron", "daemon-reload")
	if err == nil || !strings.Contains(err.Error(), "has not been booted with systemd") || !strings.Contains(recovery.HintOf(err), "--cron") {
		t.Errorf("%v", err)
	}
	// What is to be removed is looked for in both places, and stays where systemd refuses.
	timer, cron := filepath.Join(r.state, "units", "comeback-shop-check.timer"), filepath.Join(r.state, "cron", "comeback-shop")
	for _, path := range []string{timer, cron} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(schedule.Mark("shop")+"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	r.run(ctx, "schedule", book, "--remove").has(t, recovery.Failed, "has not been booted with systemd", "nothing is removed; run it as root")
	if err := os.Remove(timer); err != nil {
		t.Errorf("it was removed: %v", err)
	}
	r.run(ctx, "schedule", book, "--remove").has(t, recovery.CameBack, "removed  "+cron)
}

// Jobs see everybody's /tmp where an address leads to a socket there, by the runbook or by the
// variables that the jobs are told.
func TestSchedule_socketInTmp(t *testing.T) {
	t.Parallel()
	r, dir := newRig(t), t.TempDir()
	for name, test := range map[string]struct {
		url, told string
		shares    bool
	}{
		"the runbook says it":     {"postgres:///shop?host=/tmp", "", true},
		"the variables say it":    {"${SHOP_URL}", "SHOP_URL=\"host=/var/tmp/pg dbname=shop\"\n", true},
		"PGHOST says it":          {"postgres:///shop", "PGHOST=/tmp\n", true},
		"another directory":       {"postgres:///shop?host=/run/postgresql", "", false},
		"one of that beginning":   {"postgres:///shop?host=/tmpfs", "", false},
		"an address of a network": {"${SHOP_URL}", "SHOP_URL=postgres://db1/shop\n", false},
		"nobody says it":          {"${SHOP_URL}", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			environment := filepath.Join(t.TempDir(), "shop.env")
			if err := os.WriteFile(environment, []byte(test.told), 0o600); err != nil {
				t.Fatal(err)
			}
			book := filepath.Join(t.TempDir(), "shop.md")
			text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 24h\nrto: 1h\nneeds: {SHOP_URL: \"the vault\"}\npeople: [{role: us, reach: \"+00\"}]\ncopies:\n  nearby: {url: \"file://%s\"}\ncomponents:\n  database: {kind: postgres, url: \"%s\"}\n---\n# Back\n\n## Restore\n```yaml\nrestore: database\n```\n", dir, test.url)
			if err := os.WriteFile(book, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			said := r.run(t.Context(), "schedule", book, "--environment", environment)
			if said.has(t, recovery.CameBack, "backup-database.service"); strings.Contains(said.out, "No PrivateTmp=yes") != test.shares {
				t.Errorf("the units are:\n%s", said.out)
			}
		})
	}
}

// A job of cron has the values that its file holds, as they are written: to a shell they
// would be commands, variables and comments. Scratch is what the file says, too.
func TestSchedule_cronValues(t *testing.T) {
	t.Parallel()
	r, book, ctx, dir := newRig(t), pictures(t), t.Context(), t.TempDir()
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	tree, scratch := filepath.Join(dir, "a b&c$d#e `f`"), filepath.Join(dir, "scratch")
	environment := filepath.Join(dir, "shop.env")
	needs := strings.NewReplacer("rto: 30m\n", "rto: 30m\nneeds: {TREE: \"the host\"}\n", "path: "+filepath.Dir(book)+"/tree", "path: \"${TREE}\"").Replace(string(text))
	me, err := user.Current()
	if err := errors.Join(err, os.WriteFile(book, []byte(needs), 0o600), os.Mkdir(scratch, 0o700), os.Rename(filepath.Join(filepath.Dir(book), "tree"), tree),
		os.WriteFile(environment, []byte("TREE="+tree+"\nCOMEBACK_SCRATCH="+scratch+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	r.run(ctx, "schedule", book, "--cron", "--dir", dir, "--install", "--user", me.Username, "--environment", environment).has(t, recovery.CameBack, "wrote")
	crontab, err := os.ReadFile(filepath.Join(dir, "comeback-shop"))
	if err != nil {
		t.Fatal(err)
	}
	env, job := append(r.env(), "COMEBACK_TEST_MAIN=1"), ""
	for line := range strings.Lines(string(crontab)) {
		name, _, variable := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "COMEBACK_") && variable:
			env = append(env, strings.TrimSpace(line))
			if name == "COMEBACK_SCRATCH" && strings.TrimSpace(line) != "COMEBACK_SCRATCH="+scratch {
				t.Errorf("it is told %s", line)
			}
		case strings.Contains(line, "'backup'"):
			job = strings.TrimSpace(strings.SplitN(line, " ", 7)[6])
		}
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", job)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "in nearby") {
		t.Errorf("%s: %v\n%s", job, err, out)
	}
}

// Jobs that could never work are refused before they are installed, each reason with
// what to do.
func TestSchedule_unreachable(t *testing.T) {
	dir := shoptest.Dir(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, mode := range map[string]os.FileMode{"closed": 0o700, "theirs": 0o755, "state": 0o777} {
		if err := os.Mkdir(at(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(at(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{"comeback": 0o755, "data": 0o644, "secret": 0o600, "closed/shop.md": 0o644} {
		if err := os.WriteFile(at(name), []byte("DATABASE_URL=postgres://\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("unsaid"), []byte("DATABASE_URL=\n# APP_URL=x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(at("closed/shop.md"), at("linked.md")); err != nil {
		t.Fatal(err)
	}
	needs := map[string]string{"DATABASE_URL": ""}
	for _, c := range []struct {
		name       string
		change     func(*schedule.Options)
		cron       bool
		says, next string
	}{
		{name: "all there", change: func(*schedule.Options) {}},
		{name: "a closed directory", change: func(s *schedule.Options) { s.Runbook = at("closed/shop.md") },
			says: "the runbook: " + at("closed/shop.md") + " lies in " + at("closed") + ", which is closed to daemon", next: "install -D -m 644"},
		{name: "a link into one", change: func(s *schedule.Options) { s.Runbook = at("linked.md") }, says: "closed to daemon", next: "/etc/comeback/shop.md"},
		{name: "a state of others", change: func(s *schedule.Options) { s.State = at("theirs") }, says: "the state: daemon may not write to", next: "-o daemon -g daemon -m 2770 " + at("theirs")},
		{name: "a state in a closed place", change: func(s *schedule.Options) { s.State = at("closed/state") }, says: "the state: ", next: "2770 /var/lib/comeback"},
		{name: "scratch of others", change: func(s *schedule.Options) { s.Scratch = at("theirs") }, says: "scratch: daemon may not write to", next: "COMEBACK_SCRATCH in "},
		{name: "no program", change: func(s *schedule.Options) { s.Program = at("data") }, says: "the program: daemon may not run", next: "/usr/local/bin/comeback"},
		{name: "a key of somebody", change: func(s *schedule.Options) { s.Key = at("secret") }, says: "the key: daemon may not read", next: "-o daemon -m 600"},
		{name: "no values", change: func(s *schedule.Options) { s.Environment = at("none") }, says: "the values of DATABASE_URL", next: "--environment"},
		{name: "values that systemd reads", change: func(s *schedule.Options) { s.Environment = at("secret") }},
		{name: "values that cron does not read", change: func(s *schedule.Options) { s.Environment = at("secret") }, cron: true, says: "the variables: daemon may not read", next: "chown daemon"},
		{name: "an empty value", change: func(s *schedule.Options) { s.Environment = at("unsaid") }, says: "the values of DATABASE_URL: " + at("unsaid") + " does not say them", next: "NAME=VALUE"},
		{name: "a copy that is not there", change: func(s *schedule.Options) { s.Writes = []string{at("state"), at("copy")} }, says: "the copy: " + at("copy") + " is not there", next: "install -d -o daemon -m 700 " + at("copy")},
		{name: "a copy of others", change: func(s *schedule.Options) { s.Writes = []string{at("theirs")} }, says: "the copy: daemon may not write to " + at("theirs"), next: "install -d"},
		{name: "a copy and metrics", change: func(s *schedule.Options) { s.Writes, s.Metrics = []string{at("state")}, at("state/comeback.prom") }},
		{name: "no place for metrics", change: func(s *schedule.Options) { s.Metrics = at("none/comeback.prom") }, says: "the metrics: " + at("none") + " is not there", next: "--prometheus"},
		{name: "nobody", change: func(s *schedule.Options) { s.User = "no-such-user" }, says: "there is no user", next: "--user"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := schedule.Options{System: "shop", User: "daemon", Program: at("comeback"), Runbook: at("data"), State: at("state"), Environment: at("data")}
			c.change(&s)
			err := scheduleAsked{cron: c.cron}.refuseUnreachable(s, needs)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(recovery.HintOf(err), c.next)) {
				t.Errorf("%v; %s", err, recovery.HintOf(err))
			}
		})
	}
}
