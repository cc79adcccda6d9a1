package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/live"
)

// switching is the switch of a cluster from its beginning to its end.
type switching struct {
	Restored live.Restored
	Service  live.Service
	Address  string
	// Kept is where the pair is kept, as a run keeps it in its journal.
	Kept string
}

// do does all of it, or what is left of it.
func (s switching) do(ctx context.Context, e recovery.Env, before func(context.Context, string) error) error {
	var p live.Preparation
	text, err := os.ReadFile(s.Kept)
	switch {
	case err == nil:
		err = json.Unmarshal(text, &p)
	case errors.Is(err, os.ErrNotExist):
		if p, err = live.Prepare(ctx, e, s.Restored); err == nil {
			text, err = json.Marshal(p)
		}
		if err == nil {
			err = os.WriteFile(s.Kept, text, 0o600)
		}
	}
	if err != nil {
		return err
	}
	c := live.Cluster{Pair: p.Pair, Tools: s.Restored.Tools, Before: before}
	s.Service.Before = before
	side, err := c.Pair.Side()
	if err != nil {
		return err
	}
	if side == exchange.Before {
		if _, err := s.Service.Stop(ctx, e); err != nil {
			return err
		}
	}
	if err := c.Exchange(ctx); err != nil {
		return err
	}
	if err := s.Service.Start(ctx, e, s.Address); err != nil {
		return err
	}
	_, err = c.Serves(ctx, s.Address, p)
	return err
}

// back undoes it, from whatever it has come to.
func (s switching) back(ctx context.Context, e recovery.Env) error {
	text, err := os.ReadFile(s.Kept)
	if err != nil {
		return err
	}
	var p live.Preparation
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	if _, err := s.Service.Stop(ctx, e); err != nil {
		return err
	}
	if err := (live.Cluster{Pair: p.Pair, Tools: s.Restored.Tools}).Undo(ctx); err != nil {
		return err
	}
	return errors.Join(os.Remove(s.Kept), s.Service.Start(ctx, e, s.Address))
}

// dyingEnv dies at its At-th act; what it is about to do and what it has done each
// count.
type dyingEnv struct {
	*env
	at, n int
}

func (e *dyingEnv) act(what string) {
	if e.n++; e.n == e.at {
		fmt.Println("dies before: " + what)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (e *dyingEnv) Meter() recovery.Meter { return e }

func (e *dyingEnv) Phase(name string, total int64, unit recovery.Unit) { e.act("phase " + name) }

func (e *dyingEnv) Command(ctx context.Context, c recovery.Cmd) error {
	name := filepath.Base(c.Path)
	e.act(name)
	err := e.env.Command(ctx, c)
	e.act("the end of " + name)
	return err
}

// Whoever is killed at any point of the switch of a cluster leaves the old data
// directory or the restored one live, whole, and its server can be started; the same
// call ends what it has begun, or it is taken back. make test kills at every third
// point, make soak at all.
func TestCluster_killed(t *testing.T) {
	ctx := within(t)
	b := openBeside(t)
	r := b.prepared()
	r.Synchronous = ""
	s := switching{Restored: r, Service: b.service(), Address: b.address(), Kept: filepath.Join(scratchDir(t), "pair.json")}
	starts := func(t *testing.T) map[string]string {
		t.Helper()
		if err := b.service().Start(ctx, &env{}, b.address()); err != nil {
			t.Fatalf("neither is live: %v", err)
		}
		return b.digest(t)
	}
	places, stride := 0, 3
	if enginetest.Soak() {
		stride = 1
	}
	for at := 1; ; at += stride {
		where := killed(t, doomed{Do: "cluster", At: at, Cluster: s})
		if where == "" {
			break
		}
		places++
		t.Run(strconv.Itoa(at)+" before "+where, func(t *testing.T) {
			if at%2 == 0 { // somebody starts it by hand
				if now := starts(t); !maps.Equal(now, b.old) && !maps.Equal(now, b.restored) {
					t.Error("live is neither the old nor the restored one")
				}
			}
			if err := s.do(ctx, &env{}, nil); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(b.digest(t), b.restored) {
				t.Error("what is live is not what was restored")
			}
			if err := s.back(ctx, &env{}); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(b.digest(t), b.old) {
				t.Error("live is not what it was")
			}
		})
		if t.Failed() {
			return
		}
	}
	if places*stride < 12 {
		t.Errorf("killed at %d places only", places)
	}
	if !maps.Equal(b.digest(t), b.restored) {
		t.Error("what is live is not what was restored")
	}
}
