package plan_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/plan"
)

const approverKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN8CHTObPeX4fu1iRtBtTVm6Npj6kZsA/7P6sKi1TNtW"

// waiting is the runbook of the other tests with everything that a run can be
// asked to wait for.
var waiting = strings.NewReplacer("copies:\n", "people: [{role: approver, reach: x, key: "+approverKey+"}]\n"+
	"production: [db1, /srv/pg]\nnotify: [page, \"${ROOM}\"]\nneeds: {ROOM: x, DATABASE_URL: x, STATS_URL: x}\ncopies:\n",
	"## Check the copy\n", "## Check the copy\n```yaml\napprove: approver\n```\n"+
		"```sql\n-- wait: the index is built, which takes rather long on small machines\n-- on: database\n-- expect: = 0\n-- every: 2s\nselect 1\n```\n"+
		"```sql\n-- wait: stats are there\n-- on: stats\n-- expect: rows\nselect 1\n```\n"+
		"```sh\n# wait: it answers\n# in: both\n# timeout: 1m\npsql \"$DATABASE_URL\"\n```\n"+
		"```sh\n# wait: the page is up\n# in: both\ncurl \"$APP_URL\"\n```\n"+
		"```sh\n# wait: for good\ntrue\n```\n"+
		"```sh\n# run: look\n# in: both\n# terminal: yes\npsql \"$DATABASE_URL\"\n```\n").Replace(text)

func TestMake_waits(t *testing.T) {
	p, err := makePlan(t, func(o *plan.Options) { o.Runbook, o.Keep = parse(t, waiting), true })
	if err != nil {
		t.Fatal(err)
	}
	stage := []string{"1.1.ticks", "database.copy", "database.start"}
	for _, c := range []struct{ id, kind, says, component string }{
		{"3.1.approval", recovery.KindApproval, "approval by approver", ""},
		{"3.2.wait", recovery.KindSQLWait, "wait: the index is built, which takes r…", "database"},
		{"3.4.wait", recovery.KindShellWait, "wait: it answers", ""},
		{"3.7.run", recovery.KindShell, "run: look", ""},
	} {
		s, ok := p.Step(c.id)
		if !ok || s.Kind != c.kind || s.Says != c.says || s.Component != c.component || !s.MayPass || s.Stage != 2 || s.Line == 0 {
			t.Errorf("%s is %+v", c.id, s)
		}
		if !slices.Equal(s.After, stage) {
			t.Errorf("%s comes after %v, want %v", c.id, s.After, stage)
		}
		stage = append(stage, c.id)
	}
	if s, _ := p.Step("3.8.check"); !slices.Equal(s.After, stage) {
		t.Errorf("the check comes after %v, want %v", s.After, stage)
	}
	args := func(id string, into, want any) {
		t.Helper()
		s, _ := p.Step(id)
		if err := s.Decode(into); err != nil || !reflect.DeepEqual(reflect.ValueOf(into).Elem().Interface(), want) {
			t.Errorf("%s is told %+v (%v), want %+v", id, into, err, want)
		}
	}
	args("3.1.approval", &recovery.ApprovalArgs{}, recovery.ApprovalArgs{Role: "approver", Key: approverKey})
	args("3.2.wait", &recovery.SQLCheckArgs{}, recovery.SQLCheckArgs{Name: "the index is built, which takes rather long on small machines", On: "database",
		Query: "select 1", Expect: "= 0", Moment: p.Moment.Time(), Every: recovery.Duration(2 * time.Second), Timeout: recovery.Duration(10 * time.Minute)})
	args("3.4.wait", &recovery.ShellArgs{}, recovery.ShellArgs{Name: "it answers", Interpreter: "sh", Bind: map[string]string{"DATABASE_URL": "database"},
		Script: "# wait: it answers\n# in: both\n# timeout: 1m\npsql \"$DATABASE_URL\"\n", Every: recovery.Duration(5 * time.Second), Timeout: recovery.Duration(time.Minute)})
	args("3.7.run", &recovery.ShellArgs{}, recovery.ShellArgs{Name: "look", Interpreter: "sh", Bind: map[string]string{"DATABASE_URL": "database"}, Terminal: true,
		Script: "# run: look\n# in: both\n# terminal: yes\npsql \"$DATABASE_URL\"\n"})
	var not []string
	for _, n := range p.NotExecuted {
		if n.Check && strings.HasPrefix(n.What, "wait") {
			not = append(not, n.What+": "+n.Why)
		} else if n.What == "wait: for good" && n.Why != "it runs in a recovery only (# in: recovery)" {
			t.Errorf("%+v", n)
		}
	}
	if want := []string{"wait: stats are there: no stage before it restores stats", "wait: the page is up: in a rehearsal APP_URL has no value in scratch"}; !slices.Equal(not, want) {
		t.Errorf("waits that a run cannot make: %q, want %q", not, want)
	}
	if !p.Keep || !slices.Equal(p.Notify, []string{"page", "${ROOM}"}) || !slices.Equal(p.Production, []string{"db1", "/srv/pg"}) {
		t.Errorf("keep %v, notify %q, production %q", p.Keep, p.Notify, p.Production)
	}
	for _, s := range p.Steps {
		if restores := strings.HasPrefix(s.ID, "database."); restores == s.MayPass {
			t.Errorf("%s may be passed over: %v", s.ID, s.MayPass)
		}
	}
}
