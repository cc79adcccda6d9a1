package live

import (
	"context"
	"errors"
	"time"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/postgres"
)

// SetLockWait shortens the wait for another session of ours.
func SetLockWait(d time.Duration) { lockWait = d }

// WithRoom is the source with what is free where a directory lies, and on which device that
// is, in place of a disk.
func (s Source) WithRoom(in func(dir string) (free int64, device uint64, err error)) Source {
	s.room = in
	return s
}

// Objects is what counts the objects of a database.
const Objects = objects

// SplitNames, Program and Derived are what is fuzzed.
var (
	SplitNames = splitNames
	Settings   = postgres.AddressSettings
	Quote      = postgres.QuoteConninfo
	Derived    = derived
)

// prepared is the preparation of a directory beside a live one, which is opened when
// something has happened since it was looked at.
func prepared(env recovery.Env, data string, owner recovery.User, happens func() error) (*preparation, error) {
	p := &preparation{env: env, owner: owner, mode: 0o700}
	var err error
	p.Pair.Beside = data
	if p.Pair.New, err = exchange.Identify(data); err == nil {
		err = happens()
	}
	if err == nil {
		err = p.open()
	}
	return p, err
}

// Own gives everything in a directory its owner.
func Own(ctx context.Context, env recovery.Env, data string, owner recovery.User) error {
	p, err := prepared(env, data, owner, func() error { return nil })
	if err != nil {
		return err
	}
	return errors.Join(p.own(ctx), p.root.Close())
}

// LeaveSlots removes the replication slots of a directory.
func LeaveSlots(ctx context.Context, data string, happens func() error) error {
	p, err := prepared(nil, data, recovery.User{}, happens)
	if err != nil {
		return err
	}
	return errors.Join(p.setAside(ctx), p.root.Close())
}
