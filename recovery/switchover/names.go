package switchover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"comeback/recovery"
)

// namesFile holds the names of the live server's relations, in the scratch
// directory of the component.
const namesFile = "names.json"

// saveNames keeps the names of relations for counting what is lost. Where that is
// not possible numbers do.
func (o Options) saveNames(ctx context.Context, env recovery.Env, p prepared) (err error) {
	if o.SaveNames == nil || p.Scratch == "" {
		return nil
	}
	scratch, err := env.Target(ctx, p.Scratch)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(scratch.Dir, namesFile), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("keep the names of tables: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return o.SaveNames(ctx, p.db.Address, f)
}

// savedNames reads what saveNames has kept.
func (o Options) savedNames(ctx context.Context, env recovery.Env, a args) (recovery.Names, error) {
	if o.LoadNames == nil || a.Scratch == "" {
		return nil, nil
	}
	scratch, err := env.Target(ctx, a.Scratch)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(scratch.Dir, namesFile))
	if err != nil {
		return nil, fmt.Errorf("read the names of tables: %w", err)
	}
	defer f.Close()
	return o.LoadNames(f)
}
