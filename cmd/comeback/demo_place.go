package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/shop"

	"golang.org/x/sys/unix"
)

// demoPlace is the directory of a demo. Beside the shop, the report and the
// runbook it holds the state and the home that the demo works with, and a
// marker that is there for as long as anything else is.
type demoPlace struct {
	dir string
	// shop is where the shop is: in dir, or under /var/tmp where the server's
	// user cannot reach dir.
	shop string
	// made says that the demo made dir.
	made   bool
	marker *os.File // locked
	// app is where the shop is open to visitors; empty while it is not.
	app string
}

func (p *demoPlace) runbook() string { return filepath.Join(p.dir, "shop.md") }
func (p *demoPlace) env() string     { return filepath.Join(p.dir, "env") }
func (p *demoPlace) report() string  { return filepath.Join(p.dir, "report") }
func (p *demoPlace) state() string   { return filepath.Join(p.dir, "state") }
func (p *demoPlace) home() string    { return filepath.Join(p.dir, "home") }
func (p *demoPlace) identity() string {
	return filepath.Join(p.dir, "config.key")
}
func (p *demoPlace) scratch() string { return filepath.Join(p.shop, "scratch") }

// markerName is the file by which a later demo knows an earlier one's directory.
const markerName = ".comeback-demo"

// mark is what the marker says.
type mark struct {
	Format int    `json:"comeback_demo"`
	Shop   string `json:"shop"`
}

// openPlace finds or makes the directory of a new demo and locks it. What an
// earlier demo has left in it is removed, but for its report; anything else is
// refused.
func (a *app) openPlace(ctx context.Context, asked string) (*demoPlace, error) {
	p, err := a.choosePlace(asked)
	if err != nil {
		return nil, err
	}
	if err := a.prepare(ctx, p); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (a *app) choosePlace(asked string) (*demoPlace, error) {
	if asked == "" {
		dir, err := os.MkdirTemp(a.getenv("TMPDIR"), "comeback-demo-")
		if err != nil {
			return nil, recovery.Errorf("choose a place with --dir", "make a directory for the demo: %w", err).WithExit(recovery.Usage)
		}
		return &demoPlace{dir: dir, made: true}, os.Chmod(dir, 0o711)
	}
	dir, err := filepath.Abs(asked)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", asked, err)
	}
	p := &demoPlace{dir: dir}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.made = true
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, recovery.Errorf("choose a directory that you may write to with --dir", "make the demo's directory: %w", err).WithExit(recovery.Usage)
		}
	case err != nil:
		return nil, recovery.Errorf("choose another with --dir", "look at the demo's directory: %w", err).WithExit(recovery.Usage)
	case !demoLeft(dir, entries):
		return nil, recovery.Errorf("choose a new or an empty one with --dir", "refused: %s is not empty and not an earlier demo's", dir).WithExit(recovery.Refused)
	}
	return p, nil
}

// demoLeft reports whether a directory holds nothing, or what a demo leaves.
func demoLeft(dir string, entries []fs.DirEntry) bool {
	if len(entries) == 0 {
		return true
	}
	if _, err := os.Lstat(filepath.Join(dir, markerName)); err == nil {
		return true
	}
	identity, err := os.ReadFile(filepath.Join(dir, "report", "identity"))
	return err == nil && len(entries) == 1 && strings.TrimSpace(string(identity)) == demoIdentity
}

// prepare locks the place, removes an earlier demo's shop and chooses where the
// new one goes.
func (a *app) prepare(ctx context.Context, p *demoPlace) error {
	if err := p.lock(); err != nil {
		return err
	}
	if p.shop != "" {
		if err := a.within(p).remove(ctx, p); err != nil {
			return fmt.Errorf("remove an earlier demo: %w", err)
		}
		// The marker went with it.
		if err := errors.Join(p.close(), p.lock()); err != nil {
			return err
		}
	}
	owner, err := postgres.ServerUser()
	if err != nil {
		return err
	}
	p.shop = p.dir
	if postgres.Reachable(shop.Layout{Dir: p.dir}.Cluster(), owner) != nil {
		if p.shop, err = os.MkdirTemp("/var/tmp", "comeback-demo-"); err != nil {
			return fmt.Errorf("make a directory for the shop: %w", err)
		}
		if err := os.Chmod(p.shop, 0o711); err != nil {
			return fmt.Errorf("make a directory for the shop: %w", err)
		}
	}
	b, err := json.Marshal(mark{1, p.shop})
	if err == nil {
		_, err = p.marker.WriteAt(append(b, '\n'), 0)
	}
	if err != nil {
		return fmt.Errorf("mark the demo's directory: %w", err)
	}
	return nil
}

// lock opens the marker for this process alone, and reads where an earlier
// demo's shop is.
func (p *demoPlace) lock() error {
	f, err := os.OpenFile(filepath.Join(p.dir, markerName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return recovery.Errorf("choose a directory that you may write to with --dir", "mark the demo's directory: %w", err).WithExit(recovery.Usage)
	}
	// A lock of this process alone: the children of one that was killed, which
	// may live a moment longer, do not hold it.
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		f.Close()
		return recovery.Errorf("end it with ctrl-c, or choose another directory with --dir", "refused: a demo is under way in %s", p.dir).WithExit(recovery.Refused)
	}
	p.marker, p.shop = f, ""
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return fmt.Errorf("read the demo's marker: %w", err)
	}
	var m mark
	if len(b) == 0 {
		return nil // just made
	}
	if json.Unmarshal(b, &m) != nil || !filepath.IsAbs(m.Shop) {
		return recovery.Errorf("look into it and remove it by hand", "the marker of the demo in %s cannot be read", p.dir)
	}
	p.shop = m.Shop
	return nil
}

// make makes what the demo works in.
func (p *demoPlace) make() error {
	for dir, mode := range map[string]fs.FileMode{p.scratch(): 0o711, p.state(): 0o700, p.home(): 0o700} {
		if err := os.MkdirAll(dir, mode); err != nil {
			return fmt.Errorf("make the demo's directories: %w", err)
		}
	}
	return nil
}

// exports is what to export to work on the shop.
func (p *demoPlace) exports() []byte {
	var b strings.Builder
	b.WriteString("# What " + p.runbook() + " needs. Read it with: . " + shellWord(p.env()) + "\n")
	for _, kv := range [][2]string{
		{"DATABASE_URL", shop.Layout{Dir: p.shop}.URL("shop", "shop")},
		{"ADMIN_URL", shop.Layout{Dir: p.shop}.URL("postgres", "shop")},
		{"CONFIG_IDENTITY", p.identity()},
		{"APP_DIR", shop.Layout{Dir: p.shop}.App()},
		{"APP_URL", p.app},
		{"COMEBACK_STATE", p.state()},
		{"COMEBACK_SCRATCH", p.scratch()},
	} {
		if kv[1] == "" {
			continue // the shop is not open to visitors
		}
		b.WriteString("export " + kv[0] + "=" + shellWord(kv[1]) + "\n")
	}
	return []byte(b.String())
}

// shellWord quotes a word for a shell.
func shellWord(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !strings.ContainsRune("+,-./:=@_", r) && !isAlphanumeric(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// close gives the place up.
func (p *demoPlace) close() error {
	if p.marker == nil {
		return nil
	}
	return p.marker.Close()
}
