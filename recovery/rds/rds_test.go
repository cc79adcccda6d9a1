package rds_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/enginetest"
	"comeback/enginetest/hosted"
	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/recovery/postgres"
	"comeback/recovery/rds"
	"comeback/recovery/rds/rdstest"
	"comeback/storage"
)

// service is the one that all tests share; they run one after the other.
var service *rdstest.Service

func TestMain(m *testing.M) {
	isolation.Init()
	enginetest.Main(func() recovery.Engine { return rds.New(rds.Options{Expand: expand}) }, rds.NewSwitcher(rds.Options{}).Releasers(expand)...)
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	for name, v := range rdstest.Environ() {
		os.Setenv(name, v)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var err error
	service, err = rdstest.Start(ctx)
	defer func() {
		if err := service.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// expand knows the password.
func expand(text string) (string, error) {
	return strings.ReplaceAll(text, "${PASSWORD}", hosted.Encoded), nil
}

// component is the shop in RDS: its key and identifier, and what else it says.
func component(key, id string, more ...string) recovery.Component {
	c := recovery.Component{Name: "part", Kind: recovery.Postgres, With: rds.Name, Settings: recovery.Settings{key: {id}, "endpoint": {service.URL}, "region": {rdstest.Region},
		"user": {hosted.Role}, "password": {"${PASSWORD}"}, "ca": {service.Certificates}, "every": {"1ms"}}}
	for i := 0; i < len(more); i += 2 {
		c.Settings[more[i]] = []string{more[i+1]}
	}
	return c
}

var (
	instance = func(more ...string) recovery.Component {
		return component("instance", rdstest.SourceInstance, more...)
	}
	cluster = func(more ...string) recovery.Component { return component("cluster", rdstest.SourceCluster, more...) }
)

func engine() recovery.Engine { return rds.New(rds.Options{Expand: expand}) }

func surveyed(t testing.TB, c recovery.Component) recovery.Survey {
	t.Helper()
	s, err := engine().Survey(t.Context(), c, recovery.Copy{Name: "records"}, nil)
	if err != nil {
		t.Fatalf("Survey: %v (%s)", err, recovery.HintOf(err))
	}
	return s
}

func resolved(t testing.TB, c recovery.Component, to string) recovery.Point {
	t.Helper()
	p, err := engine().Resolve(t.Context(), surveyed(t, c), wanted(t, to), nil)
	if err != nil {
		t.Fatalf("Resolve: %v (%s)", err, recovery.HintOf(err))
	}
	return p
}

func wanted(t testing.TB, to string) recovery.Want {
	t.Helper()
	w, err := recovery.ParseWant(to, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// second is a moment as people write it.
func second(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// options are those of a restore to a moment; without options of its own, look holds
// what came back to what was there.
func options(t testing.TB, c recovery.Component, to, want string) enginetest.Options {
	t.Helper()
	return enginetest.Options{Engine: engine(), Component: c, Point: resolved(t, c, to), Owner: recovery.User{UID: -1, GID: -1}, Environ: map[string]string{"PASSWORD": hosted.Encoded},
		Uncounted: c.Settings.Text("cluster") == "", // of an instance it is not told
		Releasers: rds.NewSwitcher(rds.Options{}).Releasers(expand), Probe: func(ctx context.Context, env recovery.Env) error {
			got, err := everything(ctx, env)
			if err == nil && got != want {
				err = fmt.Errorf("what came back is %q, want %q", got, want)
			}
			return err
		}}
}

// everything is what a check sees: through the binding, with its password, over TLS.
func everything(ctx context.Context, env recovery.Env) (text string, err error) {
	b, ok := env.Binding("part")
	if !ok || !b.Scratch || !strings.Contains(b.URL, "${PASSWORD}") || !strings.Contains(b.URL, "verify-full") {
		return "", fmt.Errorf("it is bound to %+v", b)
	}
	address, err := env.Secret(b.URL)
	if err != nil {
		return "", err
	}
	config, err := postgres.ParseAddress(address)
	if err != nil {
		return "", err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, hosted.Everything).Scan(&text)
	return text, err
}

// passes fails the test where a restore did not end well, or left something.
func passes(t testing.TB, end recovery.State) {
	t.Helper()
	if says, hint := enginetest.Failure(end); end.Result != recovery.ResultPassed {
		t.Errorf("the restore ended %s: %s (%s)", end.Result, says, hint)
	}
	if left := service.Left(); len(left) > 0 {
		t.Errorf("left in RDS: %v", left)
	}
}

func TestSuite(t *testing.T) {
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	enginetest.Suite(t, engine(), store)
}

// A restore to a second brings back what was there then, like the source; what was made
// is deleted, and nothing else.
func TestRestore_instance(t *testing.T) {
	service.Calls()
	o := options(t, instance(), second(service.At), service.Before)
	var asked map[string][]string
	look := o.Probe
	o.Probe = func(ctx context.Context, env recovery.Env) error {
		asked = service.Asked("instance run-part")
		return look(ctx, env)
	}
	passes(t, enginetest.Restore(t, o))
	for name, want := range map[string]string{"DBInstanceClass": "db.t4g.large", "DBParameterGroupName": "shop-pg15", "DBSubnetGroupName": "shop-subnets", "VpcSecurityGroupIds.VpcSecurityGroupId.1": "sg-shop",
		"MultiAZ": "true", "StorageType": "gp3", "Iops": "", "StorageThroughput": "", "DeletionProtection": "false", "RestoreTime": second(service.At), "SourceDBInstanceIdentifier": rdstest.SourceInstance,
		"Tags.Tag.1.Key": "comeback:claim", "Tags.Tag.2.Key": "comeback:restore-of", "Tags.Tag.3.Key": "comeback:run", "Tags.Tag.3.Value": "run", "Tags.Tag.4.Key": "team", "Tags.Tag.4.Value": "shop", "Tags.Tag.5.Key": ""} {
		if got := strings.Join(asked[name], ","); got != want {
			t.Errorf("asked for %s %q, want %q", name, got, want)
		}
	}
	if got, want := service.Calls(), []string{"RestoreDBInstanceToPointInTime run-part", "DeleteDBInstance run-part"}; !slices.Equal(slices.Compact(got), want) {
		t.Errorf("called %q, want %q", got, want)
	}
}

// What the service has is a survey: the window of the automated backups in whole seconds,
// every page of snapshots, and what cannot be restored with its reason.
func TestSurvey(t *testing.T) {
	s := surveyed(t, instance())
	var got []string
	for _, b := range s.Backups {
		got = append(got, fmt.Sprintf("%s, %s, %q, %t", b.ID, b.Form, b.Problem, b.Elsewhere))
	}
	want := []string{
		`shop-in-the-making, manual snapshot of RDS, "it is creating", true`,
		`rds:shop-prod-2026-01-01-03-10, automated snapshot of RDS, "", true`,
		`rds:shop-prod-2026-01-02-03-10, automated snapshot of RDS, "", true`,
		`shop-before-release, manual snapshot of RDS, "", true`,
		`automated-db-SHOPPROD, automated backups of RDS, to the second, "", true`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("the survey is\n%s", strings.Join(got, "\n"))
	}
	w := s.Windows[0]
	if w.From.Time.Before(service.Snapshot) || !w.To.Time.Before(service.Latest) || w.From.Time.Nanosecond()+w.To.Time.Nanosecond() != 0 || w.To.Time.Before(service.At) {
		t.Errorf("the window is from %s to %s; the service's from %s to %s", w.From.Time, w.To.Time, service.Snapshot, service.Latest)
	}
	// What it will cost nobody but the runbook knows.
	for _, c := range []recovery.Component{instance(), cluster()} {
		f := surveyed(t, c).Findings
		if len(f) != 1 || !strings.HasPrefix(f[0].Says, "cost_per_hour of part is not set") || !strings.Contains(f[0].Do, "cost_per_hour: ") {
			t.Errorf("a cost that is not known: %+v", f)
		}
		c.Settings["cost_per_hour"] = []string{"0.29 USD"}
		if f := surveyed(t, c).Findings; len(f) > 0 {
			t.Errorf("a cost that is known: %+v", f)
		}
	}
	if other := surveyed(t, instance("copy", "elsewhere")); len(other.Backups)+len(other.Findings) > 0 {
		t.Errorf("another copy was asked about: %+v", other)
	}
	// A source that is gone has left its backups, and the runbook says how it was made.
	bring := service.Forget("instance " + rdstest.SourceInstance)
	defer bring()
	s = surveyed(t, instance("class", "db.m5.large", "cost_per_hour", "0.29 USD"))
	i := slices.IndexFunc(s.Backups, func(b recovery.Backup) bool { return b.ID == "automated-db-SHOPPROD" })
	if i < 0 || s.Backups[i].Problem != "" || len(s.Findings) != 1 || !strings.Contains(s.Findings[0].Says, "is gone") || !strings.Contains(s.Backups[i].Details["restored as"], "db.m5.large") {
		t.Errorf("of a source that is gone: %+v", s)
	}
	passes(t, enginetest.Restore(t, options(t, instance("class", "db.m5.large", "subnet_group", "recovery", "database", hosted.Database), second(service.At), service.Before)))
}

// Backups of an earlier source of the same name are restored in the place and in the class of
// the one of today, and that is said; those of a cluster that is gone can be restored, too.
func TestSurvey_remade(t *testing.T) {
	for _, test := range []struct {
		name, source, backup, other string
		component                   recovery.Component
		asked                       map[string]string
	}{
		{"instance", "instance " + rdstest.SourceInstance, "automated-db-SHOPPROD", rdstest.Snapshot, instance(), map[string]string{"instance run-part DBInstanceClass": "db.t4g.large",
			"instance run-part DBSubnetGroupName": "shop-subnets", "instance run-part DBParameterGroupName": "shop-pg15", "instance run-part VpcSecurityGroupIds.VpcSecurityGroupId.1": "sg-shop",
			"instance run-part SourceDbiResourceId": "db-SHOPPROD"}},
		{"cluster", "cluster " + rdstest.SourceCluster, "automated-cluster-SHOPAURORA", rdstest.ClusterSnapshot, cluster(), map[string]string{"instance run-part-1 DBInstanceClass": "db.r6g.large",
			"cluster run-part DBSubnetGroupName": "shop-subnets", "cluster run-part DBClusterParameterGroupName": "shop-aurora15", "cluster run-part SourceDbClusterResourceId": "cluster-SHOPAURORA"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer service.Remake(test.source)()
			s := surveyed(t, test.component)
			i := slices.IndexFunc(s.Findings, func(f recovery.Finding) bool {
				return strings.Contains(f.Says, "of an earlier "+test.name+" of that name")
			})
			if i < 0 || !strings.Contains(s.Findings[i].Says, test.backup) || !strings.Contains(s.Findings[i].Says, test.other) {
				t.Errorf("the findings are %+v", s.Findings)
			}
			i = slices.IndexFunc(s.Backups, func(b recovery.Backup) bool { return b.ID == test.backup })
			if i < 0 {
				t.Fatalf("the backups are %+v", s.Backups)
			}
			s.Backups, s.Windows = s.Backups[i:i+1], slices.DeleteFunc(s.Windows, func(w recovery.Window) bool { return w.Backup != test.backup })
			p, err := engine().Resolve(t.Context(), s, wanted(t, second(service.At)), nil)
			if err != nil || !strings.Contains(p.Warnings[0], "it is of an earlier") {
				t.Fatalf("resolved %+v, %v", p, err)
			}
			o := options(t, test.component, second(service.At), service.Before)
			o.Point = p
			look := o.Probe
			o.Probe = func(ctx context.Context, env recovery.Env) error {
				for what, want := range test.asked {
					name, key, _ := strings.Cut(what, " ")
					id, key, _ := strings.Cut(key, " ")
					if got := service.Asked(name + " " + id).Get(key); got != want {
						return fmt.Errorf("asked for %s %q, want %q", what, got, want)
					}
				}
				return look(ctx, env)
			}
			passes(t, enginetest.Restore(t, o))
		})
	}
}

func TestSurvey_refusals(t *testing.T) {
	denied := rdstest.Fault{Status: 403, Code: "AccessDenied", Message: "User: arn:aws:iam::210987654321:user/ops is not authorized to perform: rds:DescribeDBSnapshots"}
	for name, test := range map[string]struct {
		component  recovery.Component
		fails      string
		fault      rdstest.Fault
		says, hint string
	}{
		"a denied call":    {instance(), "DescribeDBSnapshots", denied, "is not authorized to perform: rds:DescribeDBSnapshots (AccessDenied)", "rds:DescribeDBSnapshots"},
		"expired":          {instance(), "DescribeDBInstances", rdstest.Fault{Status: 403, Code: "ExpiredToken", Message: "The security token included in the request is expired"}, "credentials expired", "sign in again"},
		"it answers never": {instance(), "DescribeDBInstances", rdstest.Fault{Status: 503, Code: "ServiceUnavailable", Message: "try later"}, "unavailable", "wait a little"},
		"no such instance": {component("instance", "shop-test"), "", rdstest.Fault{}, "knows no instance shop-test, and no backup of one", "`instance:`"},
		"no such cluster":  {component("cluster", "shop-test"), "", rdstest.Fault{}, "knows no cluster shop-test", "`cluster:`"},
		"one of a cluster": {component("instance", rdstest.SourceCluster+"-1"), "", rdstest.Fault{}, "is an instance of the cluster shop-aurora", "write `cluster: shop-aurora`"},
		"both":             {instance("cluster", "x"), "", rdstest.Fault{}, "names both an instance and a cluster", "remove one"},
		"neither":          {component("database", "shop"), "", rdstest.Fault{}, "does not say which instance", "write `instance:"},
		"another region":   {instance("region", "us-east-1"), "", rdstest.Fault{}, "SignatureDoesNotMatch", "rds:DescribeDBInstances"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.fails != "" {
				service.Fail(test.fails, 3, test.fault)
				defer service.Fine()
			}
			_, err := engine().Survey(t.Context(), test.component, recovery.Copy{Name: "records"}, nil)
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(recovery.HintOf(err), test.hint) {
				t.Errorf("the error is %v (%s), want %q (%s)", err, recovery.HintOf(err), test.says, test.hint)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	s := surveyed(t, instance("cost_per_hour", "0.29 USD"))
	w := s.Windows[0]
	late := w.To.Time.Add(90 * time.Second)
	for to, want := range map[string]string{
		"latest":                      "second " + second(w.To.Time) + ": instance shop-prod at",
		second(service.At):            "second " + second(service.At) + ": instance shop-prod at",
		second(w.From.Time.Add(-1e9)): "backup " + second(service.Snapshot.AddDate(0, 0, -1)),
		rdstest.Snapshot:              "backup",
		second(late):                  "refused: " + second(late) + " cannot be restored yet: RDS has the log of shop-prod until",
		"2020-01-01T00:00:00Z":        "refused: nothing that is listed of part in RDS reaches",
		"shop-in-the-making":          "refused: shop-in-the-making cannot be restored: it is creating",
		"monday":                      `refused: no backup "monday" of part is listed in RDS`,
		"before-xid:81214":            "refused: no positions of the log of part are listed in RDS",
	} {
		t.Run(to, func(t *testing.T) {
			p, err := engine().Resolve(t.Context(), s, wanted(t, to), nil)
			got := fmt.Sprintf("%s %s: %s", p.Exactness, p.Time.Format(time.RFC3339), p.Says)
			if err != nil {
				got = fmt.Sprintf("refused: %v", err)
				if recovery.HintOf(err) == "" || recovery.ExitOf(err) != recovery.Refused {
					t.Errorf("it is refused with %d and the hint %q", recovery.ExitOf(err), recovery.HintOf(err))
				}
			} else if last := p.Warnings[len(p.Warnings)-1]; !strings.Contains(last, "costs 0.29 USD an hour") || !strings.Contains(last, "db.t4g.large") {
				t.Errorf("what it costs is not told: %q", p.Warnings)
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("resolved to\n  %s, want\n  %s", got, want)
			}
		})
	}
	_, err := engine().Resolve(t.Context(), s, wanted(t, second(late)), nil)
	if hint := recovery.HintOf(err); !strings.Contains(hint, late.Add(5*time.Minute).UTC().Format("15:04:05Z")) {
		t.Errorf("when it can be restored is not told: %s", hint)
	}
	if p := resolved(t, instance(), "latest"); !strings.Contains(p.Warnings[0], "not known here") {
		t.Errorf("a cost that is not known: %q", p.Warnings)
	}
}

// What the source does to others by itself is in the plan of whatever is made of it, because
// that does it, too; where the source cannot be asked, that is.
func TestResolve_outwards(t *testing.T) {
	address := fmt.Sprintf("postgres:///%s?user=postgres&host=%s&port=%d", hosted.Database, service.Path("socket"), service.Port)
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	do := func(statements ...string) {
		t.Helper()
		for _, sql := range statements {
			if _, err := conn.Exec(context.WithoutCancel(t.Context()), sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	warnings := func(address string) string {
		t.Helper()
		return strings.Join(resolved(t, instance("url", address), second(service.At)).Warnings, "\n")
	}
	if w := warnings(address); strings.Contains(w, "subscriptions") || strings.Contains(w, "pg_cron") {
		t.Errorf("of one that does nothing: %s", w)
	}
	do("create subscription news connection 'host=/nowhere' publication news with (connect = false)", "alter subscription news enable",
		"create schema cron", "create table cron.job as select n as jobid, n < 3 as active from generate_series(1, 3) n")
	t.Cleanup(func() {
		do("alter subscription news disable", "alter subscription news set (slot_name = none)", "drop subscription news", "drop schema cron cascade", "drop role if exists asks")
	})
	if w := warnings(address); !strings.Contains(w, "its subscriptions (news) are enabled") || !strings.Contains(w, "pg_cron has 2 jobs") {
		t.Errorf("of one that acts: %s", w)
	}
	// As pg_cron has it, each role sees its own jobs.
	do("alter table cron.job enable row level security", "create policy own on cron.job using (jobid = 0)", "create role asks login", "grant usage on schema cron to asks", "grant select on cron.job to asks")
	if w := warnings(strings.Replace(address, "user=postgres", "user=asks", 1)); !strings.Contains(w, "row-level security") {
		t.Errorf("to who may not see all jobs: %s", w)
	}
	if w := warnings("postgres://shop@127.0.0.1:1/shop"); !strings.Contains(w, "could not be asked") {
		t.Errorf("of one that does not answer: %s", w)
	}
}

// A snapshot by its id, a cluster of Aurora to a second and from a snapshot.
func TestRestore(t *testing.T) {
	for name, test := range map[string]struct {
		component recovery.Component
		to, want  string
		calls     []string
	}{
		"serverless":       {cluster("class", "db.serverless"), second(service.At), service.Before, []string{"RestoreDBClusterToPointInTime run-part", "CreateDBInstance run-part-1", "DeleteDBInstance run-part-1", "DeleteDBCluster run-part"}},
		"snapshot":         {instance(), rdstest.Snapshot, service.AtSnapshot, []string{"RestoreDBInstanceFromDBSnapshot run-part", "DeleteDBInstance run-part"}},
		"cluster":          {cluster(), second(service.At), service.Before, []string{"RestoreDBClusterToPointInTime run-part", "CreateDBInstance run-part-1", "DeleteDBInstance run-part-1", "DeleteDBCluster run-part"}},
		"cluster snapshot": {cluster(), rdstest.ClusterSnapshot, service.AtSnapshot, []string{"RestoreDBClusterFromSnapshot run-part", "CreateDBInstance run-part-1", "DeleteDBInstance run-part-1", "DeleteDBCluster run-part"}},
	} {
		t.Run(name, func(t *testing.T) {
			service.Calls()
			// A large volume has IOPS of its own.
			service.Grow("instance "+rdstest.SourceInstance, 500)
			defer service.Grow("instance "+rdstest.SourceInstance, 20)
			capacity, class := "", "db.r6g.large"
			if name == "serverless" {
				service.Scale("cluster "+rdstest.SourceCluster, "0.5", "16")
				defer service.Scale("cluster "+rdstest.SourceCluster, "", "")
				capacity, class = "0.5 16", "db.serverless"
			}
			o := options(t, test.component, test.to, test.want)
			look := o.Probe
			o.Probe = func(ctx context.Context, env recovery.Env) error {
				const scaling = "ServerlessV2ScalingConfiguration."
				if asked := service.Asked("cluster run-part"); asked != nil && strings.TrimSpace(asked.Get(scaling+"MinCapacity")+" "+asked.Get(scaling+"MaxCapacity")) != capacity {
					return fmt.Errorf("the cluster was asked for as %v", asked)
				}
				if asked := service.Asked("cluster run-part"); asked != nil && (asked.Get("DBClusterParameterGroupName") != "shop-aurora15" || asked.Get("KmsKeyId") == "" || asked.Get("DBSubnetGroupName") != "shop-subnets") {
					return fmt.Errorf("the cluster was asked for as %v", asked)
				}
				if asked := service.Asked("instance run-part"); asked != nil && asked.Get("Iops")+" "+asked.Get("StorageThroughput") != "12000 500" {
					return fmt.Errorf("the instance was asked for as %v", asked)
				}
				if asked := service.Asked("instance run-part-1"); asked != nil && asked.Get("DBInstanceClass") != class {
					return fmt.Errorf("its instance was asked for as %v", asked)
				}
				return look(ctx, env)
			}
			passes(t, enginetest.Restore(t, o))
			if got := slices.Compact(service.Calls()); !slices.Equal(got, test.calls) {
				t.Errorf("called %q, want %q", got, test.calls)
			}
		})
	}
}

// A snapshot from before a major upgrade gets no groups of today's version, and what else is
// today's.
func TestRestore_beforeUpgrade(t *testing.T) {
	service.Upgrade(true)
	defer service.Upgrade(false)
	o := options(t, instance(), rdstest.Upgraded, service.AtSnapshot)
	look := o.Probe
	o.Probe = func(ctx context.Context, env recovery.Env) error {
		if asked := service.Asked("instance run-part"); asked.Get("DBInstanceClass") != "db.t4g.large" || asked.Get("DBSubnetGroupName") != "shop-subnets" {
			return fmt.Errorf("the instance was asked for as %v", asked)
		}
		return look(ctx, env)
	}
	passes(t, enginetest.Restore(t, o))
}

// What goes wrong on the way is survived where it can be, and told where not.
func TestRestore_faults(t *testing.T) {
	busy := rdstest.Fault{Status: 400, Code: "Throttling", Message: "Rate exceeded"}
	t.Run("survived", func(t *testing.T) {
		service.Calls()
		service.Fail("RestoreDBInstanceToPointInTime", 1, busy)
		service.Lose("RestoreDBInstanceToPointInTime", 1) // the next one comes through, its answer does not
		service.Fail("DescribeEvents", 1, busy)
		service.Lose("DeleteDBInstance", 1)
		o := options(t, instance(), second(service.At), service.Before)
		o.Event = func(e recovery.Event) { // while it is waited for, nothing answers for a while
			if p, _ := e.Payload(); e.Type != "" {
				if s, ok := p.(recovery.StepStarted); ok && s.Step == "available" {
					service.Fail("DescribeDBInstances", 5, rdstest.Fault{Status: 503, Code: "ServiceUnavailable", Message: "try later"})
				}
			}
		}
		passes(t, enginetest.Restore(t, o))
		made := slices.DeleteFunc(service.Calls(), func(call string) bool { return !strings.HasPrefix(call, "Restore") })
		if len(made) < 2 {
			t.Errorf("no answer was lost: %q", made)
		}
	})
	for name, test := range map[string]struct {
		action     string
		fault      rdstest.Fault
		says, hint string
	}{
		"denied":      {"RestoreDBInstanceToPointInTime", rdstest.Fault{Status: 403, Code: "AccessDenied", Message: "User ops is not authorized to perform: rds:RestoreDBInstanceToPointInTime"}, "access denied", "rds:RestoreDBInstanceToPointInTime"},
		"no capacity": {"RestoreDBInstanceToPointInTime", rdstest.Fault{Status: 400, Code: "InsufficientDBInstanceCapacity", Message: "no capacity for db.t4g.large"}, "no capacity for db.t4g.large", "`class:`"},
		"no moment":   {"RestoreDBInstanceToPointInTime", rdstest.Fault{Status: 400, Code: "InvalidRestoreFault", Message: "Cannot restore from VPC backup"}, "InvalidRestoreFault", "choose another moment"},
	} {
		t.Run(name, func(t *testing.T) {
			service.Fail(test.action, 1, test.fault)
			defer service.Fine()
			end := enginetest.Restore(t, options(t, instance(), second(service.At), ""))
			if says, hint := enginetest.Failure(end); end.Result == recovery.ResultPassed || !strings.Contains(says, test.says) || !strings.Contains(hint, test.hint) {
				t.Errorf("the restore ended %s: %s (%s)", end.Result, says, hint)
			}
			if left := service.Left(); len(left) > 0 {
				t.Errorf("left in RDS: %v", left)
			}
		})
	}
	t.Run("stuck", func(t *testing.T) {
		o := options(t, instance(), second(service.At), "")
		o.Event = func(e recovery.Event) {
			p, _ := e.Payload()
			if s, ok := p.(recovery.StepStarted); ok && s.Step == "available" {
				service.State("instance run-part", "creating", "incompatible-parameters")
			}
		}
		end := enginetest.Restore(t, o)
		if says, hint := enginetest.Failure(end); !strings.Contains(says, "is incompatible-parameters") || !strings.Contains(hint, "parameter_group") {
			t.Errorf("the restore ended %s: %s (%s)", end.Result, says, hint)
		}
	})
}

// What has failed in RDS is deleted by another attempt and made again; so is the cluster of
// another moment, its instance first.
func TestRestore_again(t *testing.T) {
	for name, test := range map[string]struct {
		component recovery.Component
		step      string
		happen    func()
		calls     []string
	}{
		"failed": {instance(), "available", func() { service.State("instance run-part", "creating", "failed") }, []string{"RestoreDBInstanceToPointInTime run-part", "DeleteDBInstance run-part"}},
		"another moment's": {cluster(), "instance-available", func() {
			service.Retag("cluster run-part", "comeback:restore-of", "another moment")
			service.State("instance run-part-1", "creating", "incompatible-restore")
		}, []string{"RestoreDBClusterToPointInTime run-part", "CreateDBInstance run-part-1", "DeleteDBInstance run-part-1", "DeleteDBCluster run-part"}},
	} {
		t.Run(name, func(t *testing.T) {
			service.Calls()
			o := options(t, test.component, second(service.At), service.Before)
			o.Answer = func(st recovery.StepState) recovery.Choice {
				if st.Attempts > 1 {
					return recovery.ChooseStop
				}
				return recovery.ChooseRetry
			}
			happen := sync.OnceFunc(test.happen)
			o.Event = func(e recovery.Event) {
				p, _ := e.Payload()
				if s, ok := p.(recovery.StepStarted); ok && s.Step == test.step {
					happen()
				}
			}
			passes(t, enginetest.Restore(t, o))
			if got, want := slices.Compact(service.Calls()), slices.Concat(test.calls, test.calls); !slices.Equal(got, want) {
				t.Errorf("called %q, want %q", got, want)
			}
		})
	}
}

// stopped is an engine whose first step is stopped while the service has its request.
type stopped struct{ recovery.Engine }

func (s stopped) Kinds() []recovery.Kind {
	all := s.Engine.Kinds()
	all[0] = stoppedStep{all[0]}
	return all
}

type stoppedStep struct{ recovery.Kind }

func (k stoppedStep) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	arrived, goOn := service.Hold("RestoreDBInstanceToPointInTime")
	go func() {
		<-arrived
		stop()
		goOn()
	}()
	return k.Kind.Do(ctx, env, s)
}

// What was asked for is made and deleted, whenever the run is stopped and however late the
// service carries it out: nothing is left running that nobody knows of.
func TestRestore_unanswered(t *testing.T) {
	t.Run("stopped", func(t *testing.T) {
		service.Calls()
		o := options(t, instance(), second(service.At), service.Before)
		o.Engine = stopped{o.Engine}
		passes(t, enginetest.Restore(t, o))
		if got, want := slices.Compact(service.Calls()), []string{"RestoreDBInstanceToPointInTime run-part", "DeleteDBInstance run-part"}; !slices.Equal(got, want) {
			t.Errorf("called %q, want %q", got, want)
		}
	})
	t.Run("late", func(t *testing.T) {
		service.Delay("RestoreDBInstanceToPointInTime", 3) // as often as it is tried
		defer service.Fine()
		end := enginetest.Restore(t, options(t, instance(), second(service.At), ""))
		if end.Result == recovery.ResultPassed {
			t.Error("it was answered")
		}
		if got := service.Calls(); !slices.Contains(got, "DeleteDBInstance run-part") || len(service.Left()) > 0 {
			t.Errorf("called %q, left %q", got, service.Left())
		}
	})
	t.Run("clean-up", func(t *testing.T) {
		o := options(t, instance(), second(service.At), service.Before)
		look := o.Probe
		o.Probe = func(ctx context.Context, env recovery.Env) error {
			unavailable := rdstest.Fault{Status: 503, Code: "ServiceUnavailable", Message: "try later"}
			service.Fail("DescribeDBInstances", 4, unavailable) // more often than one call is tried
			service.Fail("DeleteDBInstance", 4, unavailable)
			return look(ctx, env)
		}
		defer service.Fine()
		passes(t, enginetest.Restore(t, o))
	})
}

// Nothing is deleted, or taken for restored, but what this run has claimed.
func TestClaims(t *testing.T) {
	for name, test := range map[string]struct {
		before string // the step before which somebody else has it
		happen func()
		says   string
		kept   []string
	}{
		"in the way": {"restore", func() { service.Foreign("run-part") }, "this run has not made it", nil},
		"taken over": {"serve", func() { service.Retag("instance run-part", "comeback:claim", "another's") }, "is not one that this run has made", []string{"run-part"}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if err := service.Discard("instance run-part"); err != nil {
					t.Error(err)
				}
			}()
			o := options(t, instance(), second(service.At), "")
			o.Kept = test.kept
			o.Event = func(e recovery.Event) {
				p, _ := e.Payload()
				if s, ok := p.(recovery.StepStarted); ok && s.Step == test.before {
					test.happen()
				}
			}
			service.Calls()
			if says, hint := enginetest.Failure(enginetest.Restore(t, o)); !strings.Contains(says, test.says) || hint == "" {
				t.Errorf("the restore ended with %s (%s)", says, hint)
			}
			if calls := service.Calls(); slices.ContainsFunc(calls, func(c string) bool { return strings.HasPrefix(c, "Delete") }) || len(service.Left()) != 1 {
				t.Errorf("something was deleted: %q, %q stays", calls, service.Left())
			}
		})
	}
}

// A run that dies at any event goes on from what the service has, and asks for nothing
// twice.
func TestKilled(t *testing.T) {
	for name, c := range map[string]recovery.Component{"instance": instance(), "cluster": cluster()} {
		o := options(t, c, second(service.At), "")
		o.Probe = nil
		var events []uint64
		var ends = map[string]uint64{}
		crash := enginetest.Crash{Options: o, Copies: map[string]string{"records": t.TempDir()}, Digest: everything}
		whole := crash
		whole.Event = func(e recovery.Event) {
			events = append(events, e.Seq)
			p, _ := e.Payload()
			if f, ok := p.(recovery.StepFinished); ok {
				ends[f.Step] = e.Seq
			}
		}
		want := whole.Run(t).Restored
		if want != service.Before {
			t.Fatalf("restored %q, want %q", want, service.Before)
		}
		cuts := []enginetest.Cut{{Before: ends["restore"]}, {After: ends["serve"]}}
		if name == "cluster" {
			cuts = []enginetest.Cut{{Before: ends["instance"]}}
		}
		if enginetest.Soak() {
			cuts = nil
			for _, n := range events {
				if n <= ends["serve"] {
					cuts = append(cuts, enginetest.Cut{After: n}, enginetest.Cut{Before: n})
				}
			}
		}
		for _, cut := range cuts {
			t.Run(fmt.Sprintf("%s %s", name, cut), func(t *testing.T) {
				service.Calls()
				crash.Cuts = []enginetest.Cut{cut}
				crash.Whole(t, want)
				once := map[string]int{}
				for _, call := range service.Calls() {
					if once[call]++; once[call] > 1 && !strings.HasPrefix(call, "Delete") {
						t.Errorf("%s was asked for %d times", call, once[call])
					}
				}
				if left := service.Left(); len(left) > 0 {
					t.Errorf("left in RDS: %v", left)
				}
			})
		}
	}
}
