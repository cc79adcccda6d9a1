package switchover

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/postgres"
)

// claims is an Env that holds claims, as the executor does.
type claims struct {
	recovery.Env
	held map[string]recovery.Resource
}

func (c claims) Claim(_ context.Context, r recovery.Resource) error {
	c.held[string(r.Kind)+r.ID] = r
	return nil
}

func (c claims) Held() (all []recovery.Resource) {
	for _, r := range c.held {
		all = append(all, r)
	}
	return all
}

// What was restored and moved beside live goes when it is restored anew; what anybody
// else has put there stays, and so does what was live.
func TestCluster_movesAnew(t *testing.T) {
	parent := t.TempDir()
	env := claims{held: map[string]recovery.Resource{}}
	data, aside, scratch := filepath.Join(parent, "data"), filepath.Join(parent, "data.comeback-7c31"), filepath.Join(parent, "scratch")
	tree := func(path, says string) exchange.Identity {
		t.Helper()
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "says"), []byte(says), 0o600); err != nil {
			t.Fatal(err)
		}
		id, err := exchange.Identify(path)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	old, err := tree(data, "live").MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	c := clusterStepOf{clusterArgs: clusterArgs{Data: data, Aside: aside, Major: 15, Old: string(old)}}
	stands := func(path, want string) {
		t.Helper()
		if says, err := os.ReadFile(filepath.Join(path, "says")); err != nil || string(says) != want {
			t.Errorf("%s is %q, %v, want %q", path, says, err, want)
		}
	}
	for _, says := range []string{"first", "second"} {
		which := tree(scratch, says)
		for range 2 {
			if err := c.move(t.Context(), env, postgres.HandOver{Data: scratch}); err != nil {
				t.Fatal(err)
			}
		}
		stands(aside, says)
		if pair, err := c.pair(env); err != nil || pair.New != which {
			t.Errorf("the pair is %+v, %v, want %s", pair, err, which)
		}
	}
	// Live now: what stands beside is what was live.
	pair, err := c.pair(env)
	if err == nil {
		err = pair.Exchange()
	}
	if err != nil {
		t.Fatal(err)
	}
	tree(scratch, "third")
	if err := c.move(t.Context(), env, postgres.HandOver{Data: scratch}); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("error %v", err)
	}
	stands(aside, "live")
	stands(data, "second")
}
