package exclusive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/storage"
	"comeback/storagetest"
)

func TestTargets(t *testing.T) {
	plan := &recovery.Plan{Targets: []recovery.Target{
		{ID: "scratch/database", Scratch: true, Place: "/var/tmp/x"},
		{ID: "live/uploads", Place: "/srv/shop/uploads/"},
		{ID: "live/database", Place: "db1:/srv/pg/shop"},
		{ID: "live/again", Place: "db1:/srv/pg/shop"},
	}}
	if got, want := Targets(plan, "web1"), []string{"db1:/srv/pg/shop", "web1:/srv/shop/uploads"}; !slices.Equal(got, want) {
		t.Errorf("targets %q, want %q", got, want)
	}
}

// A database of a server and the whole of it are not worked on by two runs at once.
func TestTargets_ofOneServer(t *testing.T) {
	of := func(place string) *recovery.Plan {
		return &recovery.Plan{Targets: []recovery.Target{{ID: "live/database", Place: place, Within: "postgres system 7301448812"}}}
	}
	o := Options{Dir: filepath.Join(t.TempDir(), "locks"), Now: time.Now, Holder: Holder{Run: "7c31", Operator: "ops", Host: "db1", PID: os.Getpid()}}
	held, err := Take(t.Context(), Targets(of("db1, database shop, system 7301448812"), "db1"), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(t.Context(), Targets(of("/srv/pg/shop"), "db1"), o); recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "7c31") {
		t.Errorf("the whole server beside one of its databases: %v", err)
	}
	if err := held.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	whole, err := Take(t.Context(), Targets(of("/srv/pg/shop"), "db1"), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := whole.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

// Old data of a run are not removed while another run makes them live again: an expiry
// writes elsewhere than a switch back does. Those of other runs may go meanwhile, and so
// may a recovery, which needs none of them.
func TestTargets_ofOneParent(t *testing.T) {
	of := func(run, parent, id, place string) *recovery.Plan {
		return &recovery.Plan{Run: run, Parent: parent, Targets: []recovery.Target{{ID: recovery.TargetID(id), Place: place}}}
	}
	dir := filepath.Join(t.TempDir(), "locks")
	take := func(p *recovery.Plan) (*Hold, error) {
		return Take(t.Context(), Targets(p, "db1"), Options{Dir: dir, Now: time.Now, Holder: Holder{Run: p.Run, Operator: "ops", Host: "db1", PID: os.Getpid()}})
	}
	back, err := take(of("9a02", "7c31", "live/uploads", "/srv/uploads"))
	must(t, err)
	for name, c := range map[string]struct {
		plan    *recovery.Plan
		refused bool
	}{
		"its expiry":            {of("b0b0", "7c31", "old/uploads", "/srv/uploads.old-7c31"), true},
		"the expiry of another": {of("b0b1", "5d11", "old/uploads", "/srv/uploads.old-5d11"), false},
		"a recovery elsewhere":  {of("b0b2", "", "live/pages", "/srv/pages"), false},
	} {
		held, err := take(c.plan)
		if c.refused != (recovery.ExitOf(err) == recovery.Refused) || c.refused && !strings.Contains(err.Error(), "9a02") || !c.refused && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			must(t, held.Release(t.Context()))
		}
	}
	must(t, back.Release(t.Context()))
	// What has no live target has nothing to hold.
	if targets := Targets(&recovery.Plan{Parent: "7c31", Targets: []recovery.Target{{Scratch: true, Place: "/var/tmp/x"}}}, "db1"); len(targets) > 0 {
		t.Errorf("targets %q", targets)
	}
}

func TestTake_nothing(t *testing.T) {
	h := newHost(t, "bastion", "7c31")
	held, err := Take(t.Context(), nil, h.Options)
	must(t, err)
	must(t, held.Check(t.Context()))
	must(t, held.Release(t.Context()))
	if _, err := os.Stat(h.Dir); !errors.Is(err, os.ErrNotExist) || len(held.Remarks()) > 0 {
		t.Errorf("it made %s: %v, remarks %q", h.Dir, err, held.Remarks())
	}
}

// Who waits has the target as soon as it is given back, and is asked about each holder
// that it meets there; it says since when it holds itself.
func TestTake_waits(t *testing.T) {
	first, second := newHost(t, "bastion", ""), newHost(t, "bastion", "9f00")
	first.Holder.Work, second.Dir = "comeback backup", first.Dir
	var clock atomic.Int64
	second.Now = func() time.Time { return time.Unix(clock.Load(), 0) }
	h := first.take()
	met := make(chan Holder, 9)
	second.Waits = func(of string, by Holder, since time.Time) time.Duration {
		if of != target || since.IsZero() {
			t.Errorf("asked about %s, held since %s", of, since)
		}
		clock.Store(1 << 30)
		met <- by
		return time.Hour
	}
	held := make(chan *Hold)
	go func() { held <- second.take() }()
	if by := <-met; by != first.Holder {
		t.Errorf("it waits for %+v, want %+v", by, first.Holder)
	}
	must(t, h.Release(t.Context()))
	h = <-held
	must(t, h.Check(t.Context()))
	if len(met) > 0 {
		t.Errorf("asked again about %+v", <-met)
	}
	b, err := os.ReadFile(h.files[0].path)
	must(t, err)
	if r := parse(b); r.Since.Unix() != 1<<30 {
		t.Errorf("it says that it holds since %s", r.Since)
	}
	must(t, h.Release(t.Context()))
}

// Patience has an end: it is a refusal then, which says who holds, and how to look at
// what is no run.
func TestTake_waitsInVain(t *testing.T) {
	first, second := newHost(t, "bastion", ""), newHost(t, "bastion", "9f00")
	first.Holder.Work, first.Holder.PID, second.Dir = "comeback backup", 77, first.Dir
	first.take()
	asked := 0
	for _, patience := range []time.Duration{0, time.Millisecond} {
		second.Waits = func(string, Holder, time.Time) time.Duration { asked++; return patience }
		err := second.refused("refused: comeback backup of ops-of- has been at work on "+target+" since ", "(process 77)")
		if hint := recovery.HintOf(err); !strings.Contains(hint, "ps -fp 77") || strings.Contains(hint, "comeback status") {
			t.Errorf("hint %q", hint)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times about one holder of two takes", asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	second.Waits = func(string, Holder, time.Time) time.Duration { cancel(); return time.Hour }
	if _, err := Take(ctx, []string{target}, second.Options); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(first.Dir, tempPrefix+"*")); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// Two hosts and a copy that both reach.
func TestTake_twoHosts(t *testing.T) {
	copies(t, func(t *testing.T, c copyOf) {
		first, second := newHost(t, "bastion", "7c31", c), newHost(t, "bastion2", "9f00", c)
		h := first.take()
		must(t, h.Check(t.Context()))
		if len(h.Remarks()) > 0 {
			t.Errorf("remarks %q", h.Remarks())
		}
		err := second.refused("run 7c31 of ops-of-7c31 has been at work on " + target + " since ")
		if hint := recovery.HintOf(err); !strings.Contains(hint, "on bastion: comeback status 7c31") || !strings.Contains(hint, "try again in ") {
			t.Errorf("hint %q", hint)
		}
		if left, _ := filepath.Glob(filepath.Join(second.Dir, "*.json")); len(left) > 0 {
			t.Errorf("the refused one holds %q", left)
		}
		must(t, h.Check(t.Context()))
		must(t, h.Release(t.Context()))
		must(t, h.Release(t.Context()))
		switch left := c.left(t); {
		case !c.keeps && len(left) > 0:
			t.Errorf("left %q", left)
		case c.keeps && (len(left) != 1 || !c.stored(t).Released):
			t.Errorf("left %q", left)
		}
		h = second.take()
		must(t, h.Check(t.Context()))
		refusal(t, first.refused("run 9f00"), "on bastion2)")
	})
}

// Clocks that are hours off change nothing: only the copy's own counts.
func TestTake_clockSkew(t *testing.T) {
	copies(t, func(t *testing.T, c copyOf) {
		h := newHost(t, "bastion", "7c31", c).take()
		for _, skew := range []time.Duration{-5 * time.Hour, 5 * time.Hour} {
			second := newHost(t, "bastion2", "9f00", c)
			second.Now = func() time.Time { return time.Now().Add(skew) }
			second.refused("run 7c31")
		}
		c.silence(t, DefaultLease) // not long enough
		newHost(t, "bastion2", "9f00", c).refused("run 7c31")
		must(t, h.Check(t.Context()))
	})
}

// A holder that was silent for too long finds its target taken, and leaves it
// alone.
func TestHold_lost(t *testing.T) {
	copies(t, func(t *testing.T, c copyOf) {
		first, second := newHost(t, "bastion", "7c31", c), newHost(t, "bastion2", "9f00", c)
		h := first.take()
		c.silence(t, time.Hour)
		new := second.take()
		for range 2 {
			err := h.Check(t.Context())
			refusal(t, err, "run 9f00 of ops-of-9f00 has taken "+target+" over at ", "on bastion2)")
			if hint := recovery.HintOf(err); !strings.Contains(hint, "comeback stop 7c31") || !strings.Contains(hint, "comeback status 9f00 on bastion2") {
				t.Errorf("hint %q", hint)
			}
		}
		must(t, h.Release(t.Context()))
		must(t, new.Check(t.Context()))
		if got := c.stored(t); got.Run != "9f00" {
			t.Errorf("stored %+v", got)
		}
		must(t, new.Release(t.Context()))
	})
}

// The heartbeat renews without being asked, and notices a loss by itself.
func TestHold_heartbeat(t *testing.T) {
	c := directory(t)
	first := newHost(t, "bastion", "7c31", c)
	first.Lease = 60 * time.Millisecond
	h := first.take()
	beat := c.stored(t).Beat
	await(t, "the heart has beaten twice", func() bool { return c.stored(t).Beat > beat+1 })
	by := record{Format: 1, Target: target, Holder: Holder{Run: "9f00"}, Token: "another"}
	b, err := by.bytes()
	must(t, err)
	store := c.open(t)
	swapper, _ := storage.As[storage.Swapper](store)
	for changed := true; changed; { // not in the middle of a beat, which would go on to put its own in the place
		old, err := store.Stat(t.Context(), lockKey(target))
		if err == nil {
			_, err = swapper.Swap(t.Context(), old, b)
		}
		if changed = errors.Is(err, storage.ErrChanged); !changed {
			must(t, err)
		}
	}
	ended := make(chan struct{})
	go func() {
		h.beats.Wait()
		close(ended)
	}()
	select {
	case <-ended: // there is nothing to renew any more
	case <-time.After(30 * time.Second):
		t.Fatal("the heartbeat does not notice")
	}
	refusal(t, h.Check(t.Context()), "run 9f00")
}

// Of many who take a lease that has ended, one gets it.
func TestTake_race(t *testing.T) {
	copies(t, func(t *testing.T, c copyOf) {
		dead := newHost(t, "bastion", "7c31", c)
		hold(dead, c).kill()
		c.silence(t, time.Hour)
		const racers = 6
		holds, errs := make([]*Hold, racers), make([]error, racers)
		var wait sync.WaitGroup
		for i := range racers {
			h := newHost(t, "host-"+itoa(i), "run-"+itoa(i), c)
			wait.Go(func() { holds[i], errs[i] = Take(t.Context(), []string{target}, h.Options) })
		}
		wait.Wait()
		winners := 0
		for i, err := range errs {
			if err == nil {
				winners++
				must(t, holds[i].Check(t.Context()))
				if len(holds[i].Remarks()) > 0 {
					t.Errorf("remarks %q", holds[i].Remarks())
				}
				defer holds[i].Release(context.WithoutCancel(t.Context()))
				continue
			}
			refusal(t, err, "at work on "+target)
		}
		if winners != 1 {
			t.Errorf("%d have won: %v", winners, errs)
		}
	})
}

// Of many on one host, where a dead one left its file, one gets it.
func TestTake_raceOnOneHost(t *testing.T) {
	dead := newHost(t, "bastion", "7c31")
	hold(dead, copyOf{}).kill()
	const racers = 8
	holds, errs := make([]*Hold, racers), make([]error, racers)
	var wait sync.WaitGroup
	for i := range racers {
		h := newHost(t, "bastion", "run-"+itoa(i))
		h.Dir = dead.Dir
		wait.Go(func() { holds[i], errs[i] = Take(t.Context(), []string{target}, h.Options) })
	}
	wait.Wait()
	winners := 0
	for i, err := range errs {
		if err != nil {
			// Who looks while another one removes what the dead one left may be told of that one.
			refusal(t, err, "run ", "at work on "+target)
			continue
		}
		winners++
		must(t, holds[i].Check(t.Context()))
		defer holds[i].Release(t.Context())
	}
	if winners != 1 {
		t.Errorf("%d have won: %v", winners, errs)
	}
}

// A copy that does not tell its time is watched: a holder that is alive shows
// itself, a dead one does not.
func TestTake_withoutClock(t *testing.T) {
	c := directory(t)
	first, second := newHost(t, "bastion", "7c31", c), newHost(t, "bastion2", "9f00", c)
	first.Lease = 2 * time.Second // a busy machine keeps it
	second.Stores = []storage.Store{withoutClock(second.Stores[0])}
	h := first.take()
	err := second.refused("run 7c31")
	if hint := recovery.HintOf(err); !strings.Contains(hint, "it is alive") {
		t.Errorf("hint %q", hint)
	}
	h.stop() // its heart
	h.beats.Wait()
	taken := second.take()
	must(t, taken.Check(t.Context()))
	refusal(t, h.Check(t.Context()), "run 9f00")
}

// A clock that is put forward while a holder is watched does not make it silent.
func TestTake_withoutClock_putForward(t *testing.T) {
	c := directory(t)
	first, second := newHost(t, "bastion", "7c31", c), newHost(t, "bastion2", "9f00", c)
	first.Lease = 2 * time.Second
	second.Stores = []storage.Store{withoutClock(second.Stores[0])}
	var asked atomic.Int64
	second.Now = func() time.Time { // later by an hour, each time
		return time.Now().Round(0).Add(time.Duration(asked.Add(1)) * time.Hour)
	}
	h := first.take()
	if hint := recovery.HintOf(second.refused("run 7c31")); !strings.Contains(hint, "it is alive") {
		t.Errorf("hint %q", hint)
	}
	must(t, h.Check(t.Context()))
}

// Copies that cannot hold a lease leave the lock of this host, and say so.
func TestTake_noConditions(t *testing.T) {
	c := directory(t)
	for name, wrap := range map[string]func(storage.Store) storage.Store{
		"no ability": func(s storage.Store) storage.Store { return only{s} },
		"ignores it": func(s storage.Store) storage.Store { return careless{s} },
	} {
		t.Run(name, func(t *testing.T) {
			first := newHost(t, "bastion", "7c31", c)
			first.Stores = []storage.Store{wrap(first.Stores[0])}
			h := first.take()
			must(t, h.Check(t.Context()))
			if got := h.Remarks(); len(got) != 2 || !strings.Contains(got[0], c.url+" holds no lease on "+target+": it takes no conditional writes") ||
				!strings.Contains(got[1], "only runs on this host") {
				t.Errorf("remarks %q", got)
			}
			must(t, h.Release(t.Context()))
			if left := c.left(t); len(left) > 0 {
				t.Errorf("left %q", left)
			}
		})
	}
}

// A copy that may not be written holds no lease; another one does.
func TestTake_denied(t *testing.T) {
	server := storagetest.StartS3(t)
	server.CreateBucket("backups")
	user := server.CreateUser("reader")
	server.Allow("backups", user, "s3:GetObject", "s3:ListBucket")
	server.SetenvAs(t, user)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	c := directory(t)
	first := newHost(t, "bastion", "7c31", c)
	first.Stores = append(first.Stores, opens("s3://backups", server.Endpoint())(t))
	h := first.take()
	must(t, h.Check(t.Context()))
	if got := h.Remarks(); len(got) != 1 || !strings.Contains(got[0], "s3://backups holds no lease") || !strings.Contains(got[0], "denied") {
		t.Errorf("remarks %q", got)
	}
}

// A copy that does not answer is trusted for the lease's length, and no longer.
func TestHold_copyGone(t *testing.T) {
	server := storagetest.StartS3(t)
	server.CreateBucket("backups")
	server.Setenv(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	first := newHost(t, "bastion", "7c31")
	first.Stores = []storage.Store{opens("s3://backups", server.Endpoint())(t)}
	var mu sync.Mutex
	var passed time.Duration
	first.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(passed)
	}
	h := first.take()
	server.Proxy.Refuse(true)
	must(t, h.Check(t.Context()))
	mu.Lock()
	passed = DefaultLease
	mu.Unlock()
	refusal(t, h.Check(t.Context()), "nothing proves that "+target+" is still held by this run", "s3://backups")
	server.Proxy.Heal()
	must(t, h.Check(t.Context()))
}

// What somebody removes by hand is made again, while nobody else has it; a lock
// file is not, since then somebody else may have it.
func TestHold_removedByHand(t *testing.T) {
	c := directory(t)
	first := newHost(t, "bastion", "7c31", c)
	h := first.take()
	must(t, os.Remove(c.file(lockKey(target))))
	must(t, h.Check(t.Context()))
	if got := c.stored(t); got.Run != "7c31" {
		t.Errorf("stored %+v", got)
	}
	file := filepath.Join(first.Dir, digest(target)+".json")
	must(t, os.Remove(file))
	refusal(t, h.Check(t.Context()), "the lock of "+target+" was removed or replaced: "+file)
	must(t, h.Release(t.Context()))
}

// What cannot be read is held by somebody, until it has been silent for long.
func TestTake_garbage(t *testing.T) {
	c := directory(t)
	storagetest.Put(t, c.open(t), lockKey(target), "\x1b[2J{")
	first := newHost(t, "bastion", "7c31", c)
	err := first.refused("somebody holds a lease on " + target)
	if strings.Contains(err.Error(), "\x1b") || !strings.Contains(recovery.HintOf(err), lockKey(target)) {
		t.Errorf("%q, hint %q", err, recovery.HintOf(err))
	}
	c.silence(t, time.Hour)
	must(t, first.take().Check(t.Context()))
}

// A directory that the group shares gives locks that its members can read.
func TestTake_sharedDirectory(t *testing.T) {
	state := t.TempDir()
	must(t, os.Chmod(state, 0o770|os.ModeSetgid))
	first := newHost(t, "bastion", "7c31")
	first.Dir = filepath.Join(state, "locks")
	first.take()
	for name, want := range map[string]os.FileMode{"": 0o770, "place": 0o640, digest(target) + ".json": 0o640} {
		info, err := os.Stat(filepath.Join(first.Dir, name))
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has the mode %v, want %v", name, info.Mode().Perm(), want)
		}
	}
}

func FuzzParse(f *testing.F) {
	good, err := record{Format: 1, Target: target, Holder: Holder{Run: "7c31", Operator: "ops1", Host: "h", PID: 1}, Lease: recovery.Duration(time.Minute)}.bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"comeback_lock":1,"lease":"9000h","run":"\u001b[31m"}`))
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := parse(b)
		if d := time.Duration(r.Lease); d <= 0 || d > maxLease {
			t.Errorf("%q gives a lease of %v", b, d)
		}
		if strings.ContainsAny(r.String()+r.Host+r.Target, "\x1b\n\r\x00") {
			t.Errorf("%q speaks to the terminal", b)
		}
	})
}
