package push

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/walfile"
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
	// Patience is how long a copy may be at one file before it counts as one that does
	// not answer; zero is five minutes, and another one for each 2 MB.
	Patience time.Duration
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

	silence        = 5 * time.Minute
	leastPerMinute = 2 << 20
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
// spool; another waits for it. A copy that the quorum does not need delays it by Wait at
// most, whatever is brought to that copy meanwhile, and also where it hangs.
func Push(ctx context.Context, o Options, path string) (Pushed, error) {
	p, err := newPusher(ctx, o)
	if err != nil {
		return Pushed{}, fmt.Errorf("push %s: %w", filepath.Base(path), err)
	}
	defer p.close()
	lock, err := p.spool.hold(ctx)
	if err != nil {
		return Pushed{}, fmt.Errorf("push %s: %w", filepath.Base(path), err)
	}
	defer lock.Close()
	pushed, err := p.push(ctx, path)
	if err != nil {
		return pushed, fmt.Errorf("push %s: %w", filepath.Base(path), err)
	}
	return pushed, nil
}

// pusher is one push, or one catching up, at work.
type pusher struct {
	Options
	spool  *spool
	prefix string
	// stores opens each copy once, and no copy waits for another one's.
	stores map[string]func() (storage.Store, error)
	// pushing are the files that are being pushed, which are not caught up with
	// meanwhile.
	pushing []string
	// stop ends what is still asked of copies.
	stop context.CancelFunc
	// caught counts what was brought to copies from the spool.
	caught atomic.Int64
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
	s, err := openSpool(o.Spool)
	if err != nil {
		return nil, err
	}
	p := &pusher{Options: o, spool: s, prefix: pitr.WALPrefix(o.Component), stores: map[string]func() (storage.Store, error){}}
	ctx, p.stop = context.WithCancel(ctx)
	for _, c := range o.Copies {
		p.stores[c.Name] = sync.OnceValues(func() (storage.Store, error) { return c.Open(ctx) })
	}
	return p, nil
}

func (p *pusher) close() { p.stop() }

// patience is how long a copy may be at a file of so many bytes.
func (p *pusher) patience(size int64) time.Duration {
	if p.Patience > 0 {
		return p.Patience
	}
	return silence + time.Duration(size)*time.Minute/leastPerMinute
}

// noAnswer is what is said of a copy on which nobody waits any longer.
func noAnswer(after time.Duration) error {
	return recovery.Errorf("see whether what holds the copy hangs: a mount whose server is gone, a service that takes connections and does nothing",
		"it has not answered for %s", recovery.FormatSpan(after))
}

func (p *pusher) push(ctx context.Context, path string) (Pushed, error) {
	name := filepath.Base(path)
	if _, ok := walfile.Parse(name); !ok {
		return Pushed{}, recovery.Errorf("it is for archive_command only: comeback wal push RUNBOOK %p", "%q is not a file of a server's log", name).WithExit(recovery.Usage)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return Pushed{}, recovery.Errorf("a server names its file as %p, from its data directory; by hand give the whole path", "%s is not there", path).WithExit(recovery.Usage)
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
	caught := make(chan struct{})
	go func() {
		defer close(caught)
		_ = p.catchUp(catching, false) // what is still lacking stays in the spool
	}()
	pushed, err := p.batch(ctx, name, path, ahead)
	stop()
	<-caught
	pushed.Caught = int(p.caught.Load())
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
			sent, err := p.one(ctx, next, file, false)
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
	sent, err := p.one(ctx, name, path, true)
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
		f, known := walfile.Parse(next)
		if ok && known && f.Kind == walfile.Segment && next > name && len(all) < p.Ahead {
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

// one pushes one file: nil means the quorum and the spool have it durably. Copies that
// did not answer a moment ago, and those for which the spool keeps it already, are asked
// only where the quorum cannot do without them. Only one that the server has asked for
// may be packed in memory, so that there is one at a time.
func (p *pusher) one(ctx context.Context, name, path string, inMemory bool) (sent, error) {
	e, err := p.spool.pack(name, path, inMemory)
	if err != nil {
		return sent{}, err
	}
	defer e.drop()
	d := delivery{pusher: p, entry: e, sent: sent{digest: e.SHA256}, answers: make(chan answer, len(p.Copies))}
	if d.kept, err = p.spool.kept(e); err != nil {
		return d.sent, err
	}
	asked, cancel := context.WithCancel(ctx)
	defer cancel()
	d.begin(asked)
	if err := d.hear(ctx, asked); err != nil {
		return d.sent, err
	}
	if len(d.sent.copies) < p.Quorum {
		return d.sent, recovery.Errorf("the server tries again by itself; see comeback check", "%d of %d copies have it, and the quorum is %d: %w",
			len(d.sent.copies), len(p.Copies), p.Quorum, errors.Join(d.refused...))
	}
	err = d.keep()
	return d.sent, err
}
