package live_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
)

func TestLook(t *testing.T) {
	ctx := within(t)
	s := openShop(t)
	root := connect(t, s.Layout.URL("postgres", "postgres"))
	there := filepath.Join(s.Dir, "fast")
	if err := os.Mkdir(there, 0o700); err != nil {
		t.Fatal(err)
	}
	if s.Owner.UID >= 0 {
		if err := os.Chown(there, s.Owner.UID, s.Owner.GID); err != nil {
			t.Fatal(err)
		}
	}
	run(t, root, "create database ledger", "create role app login", "grant connect on database shop to app",
		"alter database shop set app.token = 'very-secret'", "alter role app in database shop set work_mem = '8MB'",
		"alter database shop connection limit 33", "comment on database shop is 'the shop'",
		"create tablespace fast location '"+there+"'", "select pg_create_physical_replication_slot('standby')",
		"alter system set max_prepared_transactions = 4")
	run(t, connect(t, s.Layout.URL("postgres", "shop")), "create extension pg_trgm", "create publication news")
	run(t, connect(t, s.Layout.URL("postgres", "ledger")), "create subscription digest connection 'host=nowhere dbname=shop password=very-secret' publication news with (connect = false)")
	app := connect(t, s.Layout.URL("app", "shop"))
	run(t, app, "begin", "select 1")

	t.Run("by a superuser", func(t *testing.T) {
		l, err := live.Look(ctx, s.Layout.URL("postgres", "shop"))
		if err != nil {
			t.Fatal(err)
		}
		host, err := os.Hostname()
		if err != nil {
			t.Fatal(err)
		}
		inode, err := exchange.Identify(s.Cluster())
		if err != nil {
			t.Fatal(err)
		}
		if l.Host != host || l.Data != s.Cluster() || l.Inode != inode || l.Timeline != 1 || l.Standby || l.SystemIdentifier == "" || l.Database != "shop" ||
			l.OID == 0 || l.Major != s.Tools.Major || l.Boot == "" || l.Started.IsZero() || l.LSN == 0 || l.LastCommit.IsZero() || !l.Superuser {
			t.Errorf("%+v", l)
		}
		if l.Archiving.Mode != "on" || !l.Archiving.Command || l.Archiving.Failures != 0 {
			t.Errorf("archiving %+v", l.Archiving)
		}
		if p := l.Target; !p.Open || p.Owner != "shop" || p.Encoding != "UTF8" || p.Collate != "C.UTF-8" || p.Provider != "c" || p.Limit != 33 || p.Comment != "the shop" ||
			p.Tablespace != "pg_default" || p.Size <= 0 || len(p.ACL) != 3 {
			t.Errorf("database %+v", p)
		}
		if diff := cmp.Diff([]live.Setting{{Name: "app.token"}, {Role: "app", Name: "work_mem"}}, l.Target.Settings); diff != "" {
			t.Error(diff)
		}
		if !slices.ContainsFunc(l.Sessions, func(s live.Sessions) bool {
			return s.User == "app" && s.Database == "shop" && s.State == "idle in transaction" && s.Count == 1 && s.Client == "socket" && !s.Oldest.IsZero()
		}) {
			t.Errorf("sessions %+v", l.Sessions)
		}
		if len(l.Others) != 2 || l.Others[0].Name != "ledger" || l.Others[0].Size <= 0 || l.Others[0].Bare || l.Others[1].Name != "postgres" || !l.Others[1].Bare {
			t.Errorf("others %+v", l.Others)
		}
		if len(l.Slots) != 1 || l.Slots[0].Name != "standby" || l.Slots[0].Kind != "physical" {
			t.Errorf("slots %+v", l.Slots)
		}
		if len(l.Subscriptions) != 1 || l.Subscriptions[0].Database != "ledger" || l.Subscriptions[0].Enabled {
			t.Errorf("subscriptions %+v", l.Subscriptions)
		}
		if diff := cmp.Diff([]live.Tablespace{{Name: "fast", Location: there}}, l.Tablespaces); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"news"}, l.Publications); diff != "" {
			t.Error(diff)
		}
		if !slices.ContainsFunc(l.Extensions, func(e live.Extension) bool { return e.Name == "pg_trgm" }) {
			t.Errorf("extensions %+v", l.Extensions)
		}
		if len(l.Unknown) > 0 {
			t.Errorf("unknown %+v", l.Unknown)
		}
		b, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "very-secret") || !strings.Contains(string(b), `"system_identifier":"`+l.SystemIdentifier+`"`) {
			t.Errorf("as JSON: %s", b)
		}
		var again live.Server
		if err := json.Unmarshal(b, &again); err != nil {
			t.Fatal(err)
		}
		if others := differences(l.Identity, again.Identity); len(others) > 0 || again.Inode != l.Inode || again.LSN != l.LSN {
			t.Errorf("read again it is %+v: %q", again, others)
		}
	})
	t.Run("by a role with few rights", func(t *testing.T) {
		l, err := live.Look(ctx, s.Layout.URL("app", "shop"))
		if err != nil {
			t.Fatal(err)
		}
		// The process that serves us tells the directory without any right.
		if l.Superuser || l.Data != s.Cluster() || l.Target.Owner != "shop" {
			t.Errorf("%+v", l)
		}
		if !slices.ContainsFunc(l.Unknown, func(u live.Unknown) bool {
			return strings.Contains(u.What, "sessions") && u.Needs == "pg_read_all_stats"
		}) {
			t.Errorf("unknown %+v", l.Unknown)
		}
	})
	t.Run("with something in the database postgres", func(t *testing.T) {
		for _, grows := range [][]string{{"vacuum analyze"}, {"create table kept as select repeat('x', 100) from generate_series(1, 10000)"}} {
			run(t, root, grows...)
			l, err := live.Look(ctx, s.Layout.URL("postgres", "shop"))
			if err != nil {
				t.Fatal(err)
			}
			if n := l.Others[1]; n.Name != "postgres" || n.Bare != (grows[0] == "vacuum analyze") {
				t.Errorf("after %s: %+v", grows[0], n)
			}
		}
	})
	t.Run("one that lets nobody in", func(t *testing.T) {
		run(t, root, "alter database ledger allow_connections false")
		l, err := live.Look(ctx, s.Layout.URL("postgres", "ledger"))
		if err != nil {
			t.Fatal(err)
		}
		if l.Target.Open || l.Database != "ledger" || len(l.Unknown) != 1 || !strings.Contains(l.Unknown[0].Why, "not currently accepting connections") {
			t.Errorf("%+v", l)
		}
	})
	t.Run("one that is not there", func(t *testing.T) {
		_, err := live.Look(ctx, s.Layout.URL("postgres", "shap"))
		refused(t, err, `no database "shap"`)
	})
	t.Run("an address of several servers", func(t *testing.T) {
		_, err := live.Look(ctx, "postgres://app:very-secret@db1,db2/shop")
		refused(t, err, "names several")
	})
	t.Run("its directory", func(t *testing.T) {
		l, err := live.Identify(ctx, s.Layout.URL("postgres", "shop"))
		if err != nil {
			t.Fatal(err)
		}
		d, err := live.IdentifyDirectory(ctx, s.Tools, s.Cluster())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(l.OfCluster(), d.OfCluster()); diff != "" {
			t.Errorf("running and by its directory:\n%s", diff)
		}
	})
}

// Whatever a confused recovery could take for the server that is meant is told
// from it.
func TestIdentity_OfDatabase(t *testing.T) {
	then := live.Identity{Host: "db1", Address: "/run/postgresql:5432", SystemIdentifier: "7301448812", Timeline: 3, Data: "/srv/pg/shop",
		Inode: exchange.Identity{Device: 5, Inode: 77, Born: 9}, Version: "15.18", Major: 15, Database: "shop", OID: 16401}
	remote := then
	remote.Host, remote.Data, remote.Inode, remote.Address = "", "", exchange.Identity{}, "10.0.0.5:5432"
	for name, c := range map[string]struct {
		then   live.Identity
		change func(*live.Identity)
		says   string
	}{
		"swapped host":             {then, func(i *live.Identity) { i.Host = "db2" }, "host was db1 and is db2"},
		"another address":          {remote, func(i *live.Identity) { i.Address = "10.0.0.6:5432" }, "address was 10.0.0.5:5432 and is 10.0.0.6:5432"},
		"another cluster":          {then, func(i *live.Identity) { i.SystemIdentifier = "7301448813" }, "system identifier"},
		"promoted meanwhile":       {then, func(i *live.Identity) { i.Timeline = 4 }, "timeline was 3 and is 4"},
		"standby instead":          {then, func(i *live.Identity) { i.Standby = true }, "role was primary and is standby"},
		"a copy in another place":  {then, func(i *live.Identity) { i.Data = "/srv/pg/copy" }, "data directory"},
		"a copy in the same place": {then, func(i *live.Identity) { i.Inode.Inode = 78 }, "inode"},
		"the inode is used again":  {then, func(i *live.Identity) { i.Inode.Born = 10 }, "inode"},
		"cannot be read any more":  {then, func(i *live.Identity) { i.Inode = exchange.Identity{} }, "inode was 5:77:9 and is not there"},
		"recreated database":       {then, func(i *live.Identity) { i.OID = 16999 }, "database oid was 16401 and is 16999"},
		"another database":         {then, func(i *live.Identity) { i.Database = "shop2" }, "database was shop and is shop2"},
		"behind a name, elsewhere": {then, func(i *live.Identity) { i.Host = "" }, "host was db1 and is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			now := c.then
			c.change(&now)
			differs(t, c.then, now, c.says)
		})
	}
	restarted := then
	restarted.Address, restarted.Version = "127.0.0.1:5432", "15.19"
	if others := differences(then, restarted); len(others) > 0 {
		t.Errorf("a server that was restarted with a newer minor version: %q", others)
	}
}

// A server that is down, or an address that is wrong, is told without a password.
func TestLook_down(t *testing.T) {
	_, err := live.Look(within(t), "postgres://ops:very-secret@127.0.0.1:1/shop")
	if err == nil || recovery.HintOf(err) == "" || strings.Contains(err.Error(), "very-secret") {
		t.Errorf("%v; %s", err, recovery.HintOf(err))
	}
	if _, err := live.IdentifyDirectory(within(t), postgres.Tools{}, filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("there is nothing, and it has an identity")
	}
}
