package switchover

import (
	"context"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
)

// closing is the Env of a step that closes a database, and holds claims.
type closing struct {
	stopping
	claims claims
}

func (c closing) Claim(ctx context.Context, r recovery.Resource) error { return c.claims.Claim(ctx, r) }
func (c closing) Held() []recovery.Resource                            { return c.claims.Held() }

// A database that people had closed before the run is closed when the run is stopped, and
// one that was open is open: also where the fence is made twice, and where somebody has
// opened it in between.
func TestFence_closedBefore(t *testing.T) {
	_, _, address := serving(t)
	shop := strings.Replace(address, "/postgres?", "/shop?", 1)
	conn, err := postgres.ConnectLive(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	do := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	do("create database shop")
	id, err := live.Identify(t.Context(), shop)
	if err != nil {
		t.Fatal(err)
	}
	a := args{Component: "database", Live: "live/database", Address: shop, Run: "7c31", Was: id.OID, Database: "shop"}
	const closes, opens = "alter database shop allow_connections false", "alter database shop allow_connections true"
	for name, c := range map[string]struct {
		before, between string
		open            bool
	}{
		"open":                         {opens, "", true},
		"closed":                       {closes, "", false},
		"closed, and opened meanwhile": {closes, opens, true},
		"open, and closed meanwhile":   {opens, closes, true}, // by the fence, for all that is known
	} {
		t.Run(name, func(t *testing.T) {
			do(c.before)
			env := closing{claims: claims{held: map[string]recovery.Resource{}}}
			for _, between := range []string{c.between, ""} {
				if _, err := (fence{}).Do(t.Context(), env, recovery.NewStep("fence", fenceName, "fence", a)); err != nil {
					t.Fatal(err)
				}
				if between != "" {
					do(between)
				}
			}
			p, err := prepare(t.Context(), env, recovery.NewStep("swap", swapName, "swap", a), toLive)
			if err != nil {
				t.Fatal(err)
			}
			for _, release := range []struct {
				recovery.Releaser
				of recovery.ResourceKind
			}{{undoSwap{plainly}, recovery.Exchanged}, {liftFence{plainly}, fenced}} {
				if err := release.Release(t.Context(), p.resource(release.of, p.target)); err != nil {
					t.Fatal(err)
				}
			}
			var open bool
			if err := conn.QueryRow(t.Context(), "select datallowconn from pg_database where datname = 'shop'").Scan(&open); err != nil || open != c.open {
				t.Errorf("it is open: %v, want %v, %v", open, c.open, err)
			}
		})
	}
}
