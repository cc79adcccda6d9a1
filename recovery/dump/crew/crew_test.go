package crew

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// clock orders the beginnings and ends of tasks.
type clock struct {
	mu   sync.Mutex
	now  int
	from map[int]int
	to   map[int]int
}

func (c *clock) mark(m *map[int]int, task int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *m == nil {
		*m = map[int]int{}
	}
	c.now++
	(*m)[task] = c.now
}

// Tasks whose locks conflict run one after the other, in the order of the script
// unless they are foreign keys, and all of them run.
func TestCrew_Order(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 0))
		c := New(t.Context(), 1+random.IntN(4), time.Now)
		var all []*work
		var times clock
		for line := range 60 {
			task := Task{Line: int64(line), Cost: int64(random.IntN(100)), Do: func(context.Context, int) error {
				times.mark(&times.from, line)
				times.mark(&times.to, line)
				return nil
			}}
			for range 1 + random.IntN(2) {
				task.Locks = append(task.Locks, Lock{fmt.Sprint(random.IntN(5)), Mode(random.IntN(int(modes)))})
			}
			all = append(all, &work{Task: task})
			c.Add(task)
		}
		if f := c.Wait(); f != nil {
			t.Fatal(f)
		}
		for j, b := range all {
			for i, a := range all[:j] {
				if follows(b, a) && times.from[j] < times.to[i] {
					t.Fatalf("seed %d: task %d began before the end of %d", seed, j, i)
				}
				if conflict(a, b) && times.from[j] < times.to[i] && times.from[i] < times.to[j] {
					t.Fatalf("seed %d: tasks %d and %d were under way together", seed, i, j)
				}
			}
		}
		c.Close()
	}
}

// The longest chain begins first, whatever the order in which it came.
func TestCrew_LongestChainFirst(t *testing.T) {
	c := New(t.Context(), 1, time.Now)
	defer c.Close()
	hold := make(chan struct{})
	var order []string
	add := func(name string, cost int64, locks ...Lock) {
		c.Add(Task{Cost: cost, Locks: locks, Do: func(context.Context, int) error {
			order = append(order, name)
			return nil
		}})
	}
	c.Add(Task{Do: func(context.Context, int) error { <-hold; return nil }})
	add("small", 5, Lock{"a", Build})
	add("large", 20, Lock{"b", Build})
	add("first of a chain", 10, Lock{"c", Build})
	add("second", 30, Lock{"c", Alter})
	close(hold)
	if f := c.Wait(); f != nil {
		t.Fatal(f)
	}
	if want := []string{"first of a chain", "second", "large", "small"}; !slices.Equal(order, want) {
		t.Errorf("they ran as %q", order)
	}
}

// Of tasks that are given together the longest chain begins first, although a worker has
// nothing to do when the first one comes; more of them than may wait get through.
func TestCrew_Together(t *testing.T) {
	c := New(t.Context(), 1, time.Now)
	defer c.Close()
	var order []int64
	var tasks []Task
	for i := range int64(maxWaiting + 10) {
		tasks = append(tasks, Task{Cost: i, Do: func(context.Context, int) error {
			order = append(order, i)
			return nil
		}})
	}
	c.Add(tasks[:3]...)
	if f := c.Wait(); f != nil || !slices.Equal(order, []int64{2, 1, 0}) {
		t.Errorf("%v, they ran as %v", f, order)
	}
	order = nil
	c.Add(tasks...)
	if f := c.Wait(); f != nil || len(order) != len(tasks) {
		t.Errorf("%v, %d of %d ran", f, len(order), len(tasks))
	}
}

// One that yields waits for whatever else may begin, and goes first by its chain when it
// does not yield any more.
func TestCrew_Yields(t *testing.T) {
	for _, yields := range []bool{true, false} {
		c := New(t.Context(), 1, time.Now)
		defer c.Close()
		var order []string
		task := func(name string, cost int64, locks ...Lock) Task {
			return Task{Cost: cost, Locks: locks, Do: func(context.Context, int) error {
				order = append(order, name)
				return nil
			}}
		}
		help := task("help", 0, Lock{"a", Load})
		help.Yields = func() bool { return yields }
		c.Add(help, task("long behind it", 50, Lock{"a", Build}), task("other", 10, Lock{"b", Build}))
		if f := c.Wait(); f != nil {
			t.Fatal(f)
		}
		want := []string{"help", "long behind it", "other"}
		if yields {
			want = []string{"other", "help", "long behind it"}
		}
		if !slices.Equal(order, want) {
			t.Errorf("yields: %t: they ran as %q", yields, order)
		}
	}
}

// Whatever fails first, the failure that is told is the first one of the script;
// what stands behind it is stopped.
func TestCrew_FirstFailure(t *testing.T) {
	c := New(t.Context(), 3, time.Now)
	defer c.Close()
	late, early := errors.New("late"), errors.New("early")
	failed := make(chan struct{})
	stopped := false
	c.Add(Task{Line: 2, Do: func(ctx context.Context, _ int) error { <-failed; return early }})
	c.Add(Task{Line: 9, Do: func(ctx context.Context, _ int) error {
		<-ctx.Done()
		stopped = true
		close(failed)
		return ctx.Err()
	}})
	c.Add(Task{Line: 5, Do: func(context.Context, int) error { return late }})
	before := false
	c.Add(Task{Line: 1, Do: func(context.Context, int) error { before = true; return nil }})
	c.Add(Task{Line: 7, Do: func(context.Context, int) error { t.Error("it ran behind a failure"); return nil }})
	if f := c.Wait(); f == nil || !errors.Is(f, early) || f.Line != 2 {
		t.Errorf("it tells %v", f)
	}
	if !stopped || !before {
		t.Errorf("stopped %v, the one before ran %v", stopped, before)
	}
	// A task knows its place better than by its own line.
	d := New(t.Context(), 2, time.Now)
	defer d.Close()
	both := make(chan struct{})
	d.Add(Task{Line: 1, Do: func(context.Context, int) error { <-both; return &Failure{Line: 50, Err: early} }})
	d.Add(Task{Line: 1, Do: func(context.Context, int) error { close(both); return &Failure{Line: 80, Err: late} }})
	if f := d.Wait(); f == nil || f.Line != 50 {
		t.Errorf("it tells %v", f)
	}
}

// The end of the context ends everything.
func TestCrew_Cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := New(ctx, 1, time.Now)
	c.Add(Task{Do: func(ctx context.Context, _ int) error { cancel(); <-ctx.Done(); return ctx.Err() }})
	c.Add(Task{Do: func(context.Context, int) error { t.Error("it ran"); return nil }})
	if f := c.Wait(); f == nil || !errors.Is(f, context.Canceled) {
		t.Errorf("it tells %v", f)
	}
	c.Close()
}

// The longest chain is that of tasks that waited for each other, whenever they were added,
// and of no others.
func TestCrew_Longest(t *testing.T) {
	now := time.Unix(0, 0)
	takes := func(seconds int, locks ...Lock) Task {
		return Task{Locks: locks, Do: func(context.Context, int) error {
			now = now.Add(time.Duration(seconds) * time.Second) // one worker: nobody else asks
			return nil
		}}
	}
	c := New(t.Context(), 1, func() time.Time { return now })
	is := func(want int) {
		t.Helper()
		for c.Idle() < 1 || c.unfinished() {
			runtime.Gosched()
		}
		if got := c.Longest(); got != time.Duration(want)*time.Second {
			t.Errorf("the longest chain took %v, want %d s", got, want)
		}
	}
	c.Add(takes(3, Lock{"a", Load}), takes(5, Lock{"a", Build}), takes(4, Lock{"b", Load}))
	is(8)
	c.Add(takes(4, Lock{"a", Build})) // beside the other index, behind the rows
	is(8)
	c.Add(takes(1, Lock{"b", Build}), takes(2, Lock{"a", Refer}, Lock{"b", Refer}))
	is(10)
	c.Add(takes(1, Lock{"a", Refer}, Lock{"b", Refer})) // foreign keys do not build on each other
	is(10)
	if f := c.Wait(); f != nil {
		t.Fatal(f)
	}
	c.Add(takes(6, Lock{"c", Load})) // behind all
	is(16)
}

// unfinished reports whether a task waits or is under way.
func (c *Crew) unfinished() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting > 0 || len(c.busy) > 0
}

// Who looks at a table's rows waits for those that come into it.
func TestCrew_RowsBeforeALookAtThem(t *testing.T) {
	c := New(t.Context(), 2, time.Now)
	come := make(chan struct{})
	all, seen := false, false
	c.Add(Task{Line: 1, Locks: []Lock{{"t", Load}}, Do: func(context.Context, int) error {
		<-come
		all = true
		return nil
	}})
	c.Add(Task{Line: 2, Locks: []Lock{{"t", Validate}}, Do: func(context.Context, int) error {
		seen = all
		return nil
	}})
	c.Add(Task{Line: 3, Do: func(context.Context, int) error { // on the other session, behind the look if that does not wait
		close(come)
		return nil
	}})
	if f := c.Wait(); f != nil || !seen {
		t.Errorf("%v, all rows seen: %t", f, seen)
	}
}

// A task whose place has not come yields to all others, and leaves a worker to them; one that
// leads goes before them, one at a time.
func TestCrew_Early(t *testing.T) {
	c := New(t.Context(), 2, time.Now)
	defer c.Close()
	began, end := make(chan string, 9), map[string]chan struct{}{}
	task := func(name string, cost int64, early *Early) Task {
		ends := make(chan struct{})
		end[name] = ends
		return Task{Line: 1, Cost: cost, Early: early, Do: func(context.Context, int) error {
			began <- name
			<-ends
			return nil
		}}
	}
	leads := &Early{Leads: func() bool { return true }}
	also := &Early{Leads: leads.Leads}
	yields := &Early{}
	c.Add(task("early", 90, yields), task("leads", 10, leads), task("leads, too", 5, also), task("rows", 50, nil))
	if a, b := <-began, <-began; a+b != "leads"+"rows" && a+b != "rows"+"leads" {
		t.Errorf("%s and %s began", a, b)
	}
	close(end["leads"])
	close(end["rows"]) // one of the two that are left begins, and a worker has nothing to do
	for c.Idle() == 0 {
		runtime.Gosched()
	}
	if name := <-began; name != "leads, too" {
		t.Errorf("%s began", name)
	}
	if c.Idle() != 1 || len(began) > 0 {
		t.Errorf("%d idle, %d began", c.Idle(), len(began))
	}
	c.Place(yields, 7)
	if name := <-began; name != "early" {
		t.Errorf("%s began when its place came", name)
	}
	close(end["leads, too"])
	close(end["early"])
	if f := c.Wait(); f != nil {
		t.Error(f)
	}
}

// Every failure stands before a task whose place has not come; its own counts with its line
// when that has. What is not wanted any more is withdrawn.
func TestCrew_EarlyFails(t *testing.T) {
	c := New(t.Context(), 2, time.Now)
	defer c.Close()
	began, wrong := make(chan struct{}), errors.New("wrong")
	e := &Early{}
	c.Add(Task{Early: e, Do: func(context.Context, int) error { close(began); return wrong }, Locks: []Lock{{"a", Build}}},
		Task{Line: 9, Do: func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }})
	c.Place(e, 5)
	<-began
	if f := c.Wait(); f == nil || f.Line != 5 || !errors.Is(f, wrong) {
		t.Errorf("it tells %v", f)
	}
	d := New(t.Context(), 3, time.Now)
	defer d.Close()
	stopped := make(chan struct{})
	d.Add(Task{Early: &Early{}, Locks: []Lock{{"a", Build}}, Do: func(ctx context.Context, _ int) error {
		<-ctx.Done()
		close(stopped)
		return ctx.Err()
	}})
	d.Add(Task{Early: &Early{}, Locks: []Lock{{"a", Alter}}, Do: func(context.Context, int) error { t.Error("it was withdrawn"); return nil }})
	d.Withdraw(false)
	select {
	case <-stopped:
		t.Error("what is under way was stopped")
	default:
	}
	d.Add(Task{Line: 3, Do: func(context.Context, int) error { return wrong }})
	if f := d.Wait(); f == nil || f.Line != 3 {
		t.Errorf("it tells %v", f)
	}
	<-stopped
	f := New(t.Context(), 2, time.Now)
	defer f.Close()
	f.Add(Task{Early: &Early{}, Do: func(ctx context.Context, _ int) error { <-ctx.Done(); return nil }})
	f.Withdraw(true)
	if failed := f.Wait(); failed != nil {
		t.Error(failed)
	}
}
