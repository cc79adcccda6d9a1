package push

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/storage"
)

// Copy is one of the copies that take the log.
type Copy struct {
	Name string
	// Open opens it; it may be called several times.
	Open func(context.Context) (storage.Store, error)
}

// Options say whereto a log is pushed.
type Options struct {
	Component recovery.Component
	Copies    []Copy
	// Quorum is in how many of the copies a segment must be durable.
	Quorum int
	// Spool is the directory of what copies still lack; it is made where it is
	// missing.
	Spool string
	// Forget are copies that get nothing any more of what the spool holds for them,
	// because somebody says so; those that Copies name are none.
	Forget []string
	Now    func() time.Time
	// Wait is how long the copies that the quorum does not need are waited for;
	// zero is two seconds.
	Wait time.Duration
	// Ahead is how many segments that the server has ready are pushed along
	// with the one that it asks for; zero is seven, negative none.
	Ahead int
}

// The defaults of Options, and how long a copy that did not answer is left alone
// where the quorum does not need it.
const (
	defaultWait  = 2 * time.Second
	defaultAhead = 7
	leaveAlone   = time.Minute
	atOnce       = 4
)

// ErrOther says that a copy holds other content under a segment's name.
var ErrOther = errors.New("holds other content under this name")

// Pushed is what a push came to.
type Pushed struct {
	Name string
	// Copies have it; Spooled are those that will get it from the spool.
	Copies, Spooled []string
	// Ahead were pushed along with it.
	Ahead []string
	// Caught is how many objects were brought to copies from the spool.
	Caught int
}

// Push brings a file of a server's pg_wal into the copies, as archive_command
// asks for it. It returns nil only when the file is durable in the quorum of
// copies, and durable in the spool for the others. Only one push is at work on a
// spool; another waits for it.
func Push(ctx context.Context, o Options, path string) (Pushed, error) {
	p, err := newPusher(ctx, o)
	if err != nil {
		return Pushed{}, fmt.Errorf("push %s: %w", filepath.Base(path), err)
	}
	defer p.close()
	pushed, err := p.push(ctx, path)
	if err != nil {
		return pushed, fmt.Errorf("push %s: %w", filepath.Base(path), err)
	}
	return pushed, nil
}

// CatchUp brings what is in the spool to the copies that lack it, and returns how
// many objects it brought. The error names the copies that still lack something, also
// those that Copies does not name: what was acknowledged stays for them in the spool, for
// they may only be called otherwise now, or be missing from this runbook alone.
func CatchUp(ctx context.Context, o Options) (int, error) {
	p, err := newPusher(ctx, o)
	if err != nil {
		return 0, fmt.Errorf("catch up: %w", err)
	}
	defer p.close()
	n, err := p.catchUp(ctx, true)
	if err != nil {
		return n, fmt.Errorf("catch up: %w", err)
	}
	return n, nil
}

// pusher is one push at work.
type pusher struct {
	Options
	spool  *spool
	prefix string

	// pushing are the files that are being pushed, which are not caught up with
	// meanwhile.
	pushing []string

	mu     sync.Mutex
	stores map[string]storage.Store
}

func newPusher(ctx context.Context, o Options) (*pusher, error) {
	if o.Wait == 0 {
		o.Wait = defaultWait
	}
	if o.Ahead == 0 {
		o.Ahead = defaultAhead
	}
	if o.Quorum < 1 || o.Quorum > len(o.Copies) {
		return nil, recovery.Errorf("let `quorum` of the component be a number of copies that there are", "the quorum is %d of %d copies", o.Quorum, len(o.Copies)).WithExit(recovery.Usage)
	}
	s, err := openSpool(ctx, o.Spool)
	if err != nil {
		return nil, err
	}
	return &pusher{Options: o, spool: s, prefix: pitr.WALPrefix(o.Component), stores: map[string]storage.Store{}}, nil
}

func (p *pusher) close() { p.spool.close() }

// store opens a copy once.
func (p *pusher) store(ctx context.Context, c Copy) (storage.Store, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.stores[c.Name]; ok {
		return s, nil
	}
	s, err := c.Open(ctx)
	if err == nil {
		p.stores[c.Name] = s
	}
	return s, err
}

func (p *pusher) push(ctx context.Context, path string) (Pushed, error) {
	name := filepath.Base(path)
	f, ok := pitr.ParseFileName(name)
	if !ok || f.Name() != name {
		return Pushed{}, recovery.Errorf("it is for archive_command only: comeback wal push RUNBOOK %%p", "%q is not a file of a server's log", name).WithExit(recovery.Usage)
	}
	done, err := p.spool.doneAlready(name, path)
	if err != nil {
		return Pushed{}, err
	}
	if done {
		return Pushed{Name: name}, nil
	}
	ahead := p.ready(name, filepath.Dir(path))
	p.pushing = append(slices.Clone(ahead), name)
	// What copies still lack is brought to them meanwhile.
	catching, stop := context.WithCancel(ctx)
	caught := make(chan int, 1)
	go func() {
		n, _ := p.catchUp(catching, false) // what is still lacking stays in the spool
		caught <- n
	}()
	pushed, err := p.batch(ctx, name, path, ahead)
	stop()
	pushed.Caught = <-caught
	return pushed, err
}

// batch pushes a file, and along with it those that the server has ready after
// it.
func (p *pusher) batch(ctx context.Context, name, path string, ahead []string) (Pushed, error) {
	gate := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	var mu sync.Mutex
	var more []string
	for _, next := range ahead {
		wait.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			file := filepath.Join(filepath.Dir(path), next)
			sent, err := p.one(ctx, next, file)
			if err == nil {
				err = p.spool.setDone(next, sent.digest)
			}
			if err == nil { // else the server asks for it, and is told why not
				mu.Lock()
				more = append(more, next)
				mu.Unlock()
			}
		})
	}
	sent, err := p.one(ctx, name, path)
	wait.Wait()
	slices.Sort(more)
	return Pushed{Name: name, Copies: sent.copies, Spooled: sent.spooled, Ahead: more}, err
}

// ready are the segments after one that the server has closed and not been told
// of yet.
func (p *pusher) ready(name, dir string) []string {
	if p.Ahead < 0 {
		return nil
	}
	entries, err := os.ReadDir(filepath.Join(dir, "archive_status"))
	if err != nil {
		return nil // not every file that is pushed lies in a pg_wal
	}
	var all []string
	for _, e := range entries {
		next, ok := strings.CutSuffix(e.Name(), ".ready")
		f, known := pitr.ParseFileName(next)
		if ok && known && f.Kind == pitr.Segment && f.Name() == next && next > name && len(all) < p.Ahead {
			if _, err := os.Stat(filepath.Join(p.spool.done, next)); err != nil {
				all = append(all, next)
			}
		}
	}
	return all
}

// sent is what became of one file.
type sent struct {
	digest          string
	copies, spooled []string
}

// answer is one copy's.
type answer struct {
	copy string
	err  error
}

// one pushes one file: nil means the quorum and the spool have it durably.
func (p *pusher) one(ctx context.Context, name, path string) (sent, error) {
	e, err := p.spool.pack(name, path)
	if err != nil {
		return sent{}, err
	}
	defer e.drop()
	s := sent{digest: e.SHA256}
	if p.spool.keepsOther(e) {
		return s, recovery.Errorf("find out which of two servers archives into these copies, and give one of them another place", "the spool %w", ErrOther).WithExit(recovery.Refused)
	}
	asked, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, len(p.Copies))
	waiting, left := 0, p.Quorum
	for _, c := range p.Copies {
		if len(p.Copies)-len(s.spooled) > p.Quorum && p.spool.isDown(c.Name, p.Now()) {
			s.spooled = append(s.spooled, c.Name)
			continue
		}
		waiting++
		sending := *e // e moves into the spool while those that are late are still at it
		go func() { answers <- answer{c.Name, p.send(asked, c, &sending)} }()
	}
	var refused []error
	var late <-chan time.Time
	for waiting > 0 {
		select {
		case a := <-answers:
			waiting--
			if a.err == nil {
				p.spool.setUp(a.copy)
				if s.copies = append(s.copies, a.copy); len(s.copies) == left {
					timer := time.NewTimer(p.Wait)
					defer timer.Stop()
					late = timer.C
				}
				continue
			}
			refused = append(refused, fmt.Errorf("%s: %w", a.copy, a.err))
			if errors.Is(a.err, ErrOther) {
				return s, recovery.Errorf("find out which of two servers archives into this copy, and give one of them another place", "%w", errors.Join(refused...)).WithExit(recovery.Refused)
			}
			p.spool.setDown(a.copy, p.Now())
			s.spooled = append(s.spooled, a.copy)
		case <-late:
			for _, c := range p.Copies {
				if !slices.Contains(s.copies, c.Name) && !slices.Contains(s.spooled, c.Name) {
					p.spool.setDown(c.Name, p.Now())
					s.spooled = append(s.spooled, c.Name)
				}
			}
			waiting = 0
		case <-ctx.Done():
			return s, context.Cause(ctx)
		}
	}
	if len(s.copies) < p.Quorum {
		return s, recovery.Errorf("the server tries again by itself; see comeback check", "%d of %d copies have it, and the quorum is %d: %w",
			len(s.copies), len(p.Copies), p.Quorum, errors.Join(refused...))
	}
	if len(s.spooled) > 0 {
		e.Lacking = s.spooled
		return s, e.keep()
	}
	return s, nil
}

// catchUp brings what the spool holds to the copies that lack it, oldest first.
// Copies that did not answer a moment ago are left alone unless all are asked.
func (p *pusher) catchUp(ctx context.Context, all bool) (int, error) {
	entries, damaged := p.spool.entries()
	n, failed, strange := 0, map[string]error{}, map[string]int{}
	errs := []error{damaged}
	for _, e := range entries {
		if slices.Contains(p.pushing, e.Name) {
			continue
		}
		proven := false
		for _, name := range slices.Clone(e.Lacking) {
			if failed[name] != nil || !all && p.spool.isDown(name, p.Now()) {
				continue
			}
			i := slices.IndexFunc(p.Copies, func(c Copy) bool { return c.Name == name })
			if i < 0 && slices.Contains(p.Forget, name) {
				if err := e.got(name); err != nil {
					return n, err
				}
				continue
			}
			if i < 0 { // it may be named again
				strange[name]++
				continue
			}
			if !proven {
				if err := e.sound(); err != nil { // what came after it goes all the same
					errs = append(errs, fmt.Errorf("%s lack %s: %w", strings.Join(e.Lacking, ", "), e.Name, err))
					break
				}
				proven = true
			}
			err := p.send(ctx, p.Copies[i], e)
			if ctx.Err() != nil {
				return n, context.Cause(ctx)
			}
			if err != nil {
				failed[name] = fmt.Errorf("%s lacks %s: %w", name, e.Name, err)
				p.spool.setDown(name, p.Now())
				continue
			}
			p.spool.setUp(name)
			if err := e.got(name); err != nil {
				return n, err
			}
			n++
		}
	}
	for _, c := range p.Copies {
		if failed[c.Name] != nil {
			errs = append(errs, failed[c.Name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(strange)) {
		errs = append(errs, recovery.Errorf("let the runbook name it again; or give up what it lacks: --catch-up --forget "+name,
			"the spool holds %d files for the copy %s, which the runbook does not name; they stay there", strange[name], name))
	}
	return n, errors.Join(errs...)
}
