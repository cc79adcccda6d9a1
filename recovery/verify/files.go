package verify

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/url"
	"runtime"
	"strings"

	"comeback/recovery"
	"comeback/storage"
)

// FilesCheck is the kind of step that holds the rows of a restored database
// against the files of a restored tree, both ways: a row without its file, a
// file that is not what its row says, a file that no row knows. Both are read as
// streams in the same order, so that memory does not grow with them.
type FilesCheck struct {
	// Jobs is how many files are read side by side; zero means one for each
	// processor.
	Jobs int
}

var _ recovery.Kind = FilesCheck{}

// Name is recovery.KindFilesCheck.
func (FilesCheck) Name() string { return recovery.KindFilesCheck }

// Restart says that a check may be made again.
func (FilesCheck) Restart() recovery.Restart { return recovery.Repeat }

// Do makes the check. What does not agree is counted, the first of each kind is
// named, and all of it is listed in an artifact.
func (k FilesCheck) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var args recovery.FilesCheckArgs
	if err := s.Decode(&args); err != nil {
		return recovery.Outcome{}, err
	}
	c := crossCheck{env: env, args: args, jobs: k.Jobs, step: s.ID}
	if c.jobs == 0 {
		c.jobs = runtime.GOMAXPROCS(0)
	}
	result := recovery.CheckResult{Name: args.Name, Query: args.Query, Expected: expectedOf(args)}
	o := recovery.Outcome{Check: &result}
	database, tree, err := c.places(ctx)
	if err == nil {
		env.Meter().Phase("compare rows of "+args.On+" with files of "+args.Files, 0, recovery.InItems)
		err = c.run(ctx, database, tree)
	}
	if ctx.Err() != nil {
		return o, fmt.Errorf("check %q: %w", args.Name, ctx.Err())
	}
	if err != nil {
		err = notRunning(err, args.On)
		result.Found = "an error: " + shorten(err.Error(), maxFound)
		hint := recovery.HintOf(err)
		if hint == "" {
			hint = hintFor(err)
		}
		return o, recovery.Errorf(hint, "check %q: %w", args.Name, err)
	}
	result.Held, result.Found = c.judge()
	o.Says = fmt.Sprintf("expected %s, found %s", result.Expected, result.Found)
	o.Facts = c.facts()
	if !result.Held {
		return o, recovery.Errorf("see the list among the run's artifacts; choose another backup of "+args.Files+", or say in the runbook what may differ",
			"check %q: %s", args.Name, result.Found)
	}
	return o, nil
}

// places finds the database and the tree.
func (c *crossCheck) places(ctx context.Context) (database string, files tree, err error) {
	if database, c.live, err = addressOf(c.env, c.args.On); err != nil {
		return "", tree{}, err
	}
	b, ok := c.env.Binding(c.args.Files)
	if !ok {
		return "", tree{}, recovery.Errorf("restore it in a stage before the check", "not checked: %s has no address", c.args.Files)
	}
	if copy, prefix, ok := b.Bucket(); ok {
		files.prefix, files.cut = prefix, prefix[:strings.LastIndex(prefix, "/")+1]
		store, err := c.env.Store(ctx, copy)
		files.store = storage.Current(store)
		return database, files, err
	}
	u, err := url.Parse(b.URL)
	if err != nil || u.Scheme != "file" {
		return "", tree{}, fmt.Errorf("not checked: the files of %s are neither in a directory nor in a bucket", c.args.Files)
	}
	files.store, err = storage.OpenDir(u.Path)
	return database, files, err
}

// tree is a restored directory, or the objects of a bucket below a prefix.
type tree struct {
	store       storage.Store
	prefix, cut string
}

// list yields the files, by their paths in the tree.
func (t tree) list(ctx context.Context) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		for o, err := range t.store.List(ctx, t.prefix) {
			o.Key = strings.TrimPrefix(o.Key, t.cut)
			if !yield(o, err) {
				return
			}
		}
	}
}

func (t tree) open(ctx context.Context, o storage.Object) (io.ReadCloser, error) {
	o.Key = t.cut + o.Key
	return t.store.Open(ctx, o, 0)
}

// expectedOf says what the check asks for.
func expectedOf(args recovery.FilesCheckArgs) string {
	says := "every row has its file and every file its row"
	var but []string
	for _, t := range []struct{ limit, what string }{
		{args.Missing, "missing"}, {args.Different, "different"}, {args.Unknown, "unknown"},
	} {
		switch t.limit {
		case "", "0":
		case anyNumber:
			but = append(but, "any number "+t.what)
		default:
			but = append(but, "at most "+t.limit+" "+t.what)
		}
	}
	if len(but) == 0 {
		return says
	}
	return says + ", but for " + strings.Join(but, ", ")
}
