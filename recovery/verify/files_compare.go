package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"golang.org/x/sync/errgroup"

	"comeback/recovery"
	"comeback/storage"
)

// crossCheck is one check of files under way.
type crossCheck struct {
	env  recovery.Env
	args recovery.FilesCheckArgs
	jobs int
	step string
	live bool // the database is

	mu          sync.Mutex // guards what follows
	rows, files int64
	read        int64 // bytes
	found       [4]tally
	list        io.WriteCloser // nil until something differs
	listErr     error
}

// difference is a way in which a row and a file do not agree.
type difference int

const (
	missing   difference = iota // a row without its file
	wrongSize                   // a file of another size than its row says
	different                   // a file with other content
	unknown                     // a file that no row knows
)

func (d difference) String() string {
	return [...]string{"missing", "of another size", "different", "unknown to any row"}[d]
}

// tally counts differences of one kind and keeps the first.
type tally struct {
	n     int64
	first []string
}

// samples is how many of a kind a sentence names.
const samples = 3

// run goes through both streams, side by side.
func (c *crossCheck) run(ctx context.Context, database string, tree tree) (err error) {
	defer func() {
		if c.list != nil {
			err = errors.Join(err, c.list.Close())
		}
	}()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(c.jobs)
	err = c.merge(gctx, g, database, tree)
	// What a job has found wrong is the cause where both have failed.
	if failed := g.Wait(); failed != nil {
		err = failed
	}
	return errors.Join(err, c.listErr)
}

func (c *crossCheck) merge(ctx context.Context, g *errgroup.Group, database string, tree tree) error {
	next, stop := iter.Pull2(tree.list(ctx))
	defer stop()
	var file storage.Object
	var here, known bool // a file is at hand; a row knows it
	advance := func() error {
		if here && !known {
			c.differs(unknown, file.Key, "")
		}
		o, err, ok := next()
		if err != nil {
			return err
		}
		if file, here, known = o, ok, false; ok {
			c.files++
			c.env.Meter().Add(1)
		}
		return nil
	}
	if err := advance(); err != nil {
		return err
	}
	for row, err := range listed(ctx, database, c.live, c.args.Query) {
		if err != nil {
			return err
		}
		c.rows++
		for here && file.Key < row.Path && !row.Null {
			if err := advance(); err != nil {
				return err
			}
		}
		if !here || row.Null || file.Key != row.Path {
			c.differs(missing, row.Path, "")
			continue
		}
		known = true
		o := file
		switch {
		case row.Bytes >= 0 && row.Bytes != o.Size:
			c.differs(wrongSize, o.Key, fmt.Sprintf("%d bytes, and %d by its row", o.Size, row.Bytes))
		case row.SHA256 != "":
			g.Go(func() error { return c.digest(ctx, tree, o, row.SHA256) })
		}
	}
	for here {
		if err := advance(); err != nil {
			return err
		}
	}
	return nil
}

// digest compares a file's content with what its row says.
func (c *crossCheck) digest(ctx context.Context, tree tree, o storage.Object, want string) error {
	in, err := tree.open(ctx, o)
	if err != nil {
		return err
	}
	defer in.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, in)
	if err != nil {
		return fmt.Errorf("read %q: %w", o.Key, err)
	}
	c.mu.Lock()
	c.read += n
	c.mu.Unlock()
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		c.differs(different, o.Key, fmt.Sprintf("SHA-256 %s, and %s by its row", got, want))
	}
	return nil
}

// differs counts a difference and lists it.
func (c *crossCheck) differs(d difference, path, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.found[d]
	if t.n++; len(t.first) < samples {
		t.first = append(t.first, shorten(fmt.Sprintf("%q", path), maxWord))
	}
	if c.list == nil && c.listErr == nil {
		c.list, _, c.listErr = recovery.NewArtifact(c.env, c.step, ".differences.txt")
	}
	if c.listErr != nil {
		return
	}
	line := fmt.Sprintf("%s\t%q", d, path)
	if why != "" {
		line += "\t" + why
	}
	_, c.listErr = io.WriteString(c.list, line+"\n")
}
