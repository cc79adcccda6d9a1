package dump

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/storage"
)

// arrival is one file of an archive on its way into scratch.
type arrival struct {
	*download
	object storage.Object
	name   string
	out    *os.File
	src    *source
	at     int64 // how much of the file is there
	ending *ending
}

// noteEvery is how much of a file may be there that the ledger does not know of:
// what the death of the process costs.
const noteEvery = 64 << 20

// open opens an object and the file that it goes to. An object that is stored as
// pg_restore reads it is taken up where an earlier attempt has left it; one that
// is compressed as a whole begins again.
func (d *download) open(ctx context.Context, o storage.Object, name, to string, before fetched) (*arrival, error) {
	a := &arrival{download: d, object: o, name: name}
	var err error
	if a.out, err = os.OpenFile(to, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600); err != nil {
		return nil, fmt.Errorf("write the archive: %w", err)
	}
	if err = d.give(to); err == nil {
		err = a.takeUp(ctx, before)
	}
	if err != nil {
		return nil, errors.Join(err, a.out.Close())
	}
	return a, nil
}

// takeUp cuts the file to what is known to be right, and opens the object there.
func (a *arrival) takeUp(ctx context.Context, before fetched) error {
	info, err := a.out.Stat()
	if err != nil {
		return fmt.Errorf("look at the archive: %w", err)
	}
	meter := a.env.Meter()
	options := storage.ReadOptions{Ahead: storage.Wide, Progress: func(n int) {
		meter.Add(int64(n))
		a.done.Add(int64(n))
	}}
	if !before.Whole && before.Size <= info.Size() && before.Size <= a.object.Size && before.Size > 0 {
		if a.args.Head.Packing == unpacked {
			a.at = before.Size
			meter.Log(fmt.Sprintf("comeback: %s goes on after its first %s", a.object.Key, recovery.FormatBytes(a.at)))
		} else {
			meter.Log(fmt.Sprintf("comeback: %s begins again: what is compressed as a whole cannot be taken up in the middle", a.object.Key))
		}
	}
	if err := a.out.Truncate(a.at); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	if a.at == 0 {
		a.src, err = a.restore.open(ctx, a.object, options)
		return err
	}
	store, err := a.env.Store(ctx, a.args.Copy)
	if err != nil {
		return err
	}
	if a.object.Checksum == "" {
		// The stream of a part does not tell the checksum of the whole.
		if o, err := store.Stat(ctx, a.object.Key); err == nil && o.Revision == a.object.Revision {
			a.object.Checksum = o.Checksum
		}
	}
	sum := sha256.New()
	options.From, options.Before = a.at, io.TeeReader(io.NewSectionReader(a.out, 0, a.at), sum)
	meter.Add(a.at)
	a.done.Add(a.at)
	a.src = &source{in: storage.NewReader(ctx, store, a.object, options), sum: sum}
	_, err = a.out.Seek(a.at, io.SeekStart)
	return err
}

// run fetches to the end and gives the object's digest.
func (a *arrival) run(ctx context.Context) (string, error) {
	defer a.src.in.Close()
	if a.args.Head.Form == directoryArchive {
		a.ending = follow(a.object.Key, io.NewSectionReader(a.out, 0, a.at))
	}
	err := a.copy(ctx)
	cutOff := a.ending.end(err)
	if errClose := a.out.Close(); err == nil {
		err = errClose
	}
	var local *os.PathError
	switch {
	case err == nil:
	case errors.As(err, &local) && strings.HasPrefix(local.Path, a.handle.Dir):
		hint := orElse(a.server.Cluster().Tools.HintFor(err.Error()), "check the disk that holds scratch, then retry")
		return "", recovery.Errorf(hint, "write the archive: %w", err)
	case recovery.HintOf(err) != "":
		return "", err
	default:
		return "", truncated(a.object.Key, a.src, err)
	}
	sum, err := a.src.finish()
	if err != nil {
		return "", truncated(a.object.Key, a.src, err)
	}
	return sum, cutOff
}

// copy writes what comes, and notes in the ledger how far it is.
func (a *arrival) copy(ctx context.Context) error {
	in, err := unpack(a.args.Head.Packing, a.src)
	if err != nil {
		return err
	}
	defer in.Close()
	piece := min(noteEvery, a.syncEvery)
	out := io.Writer(a.out)
	if a.ending != nil {
		out = io.MultiWriter(a.out, a.ending)
	}
	for {
		n, err := io.CopyN(out, in, piece)
		a.at += n
		a.unsynced += n
		if err == io.EOF { // a wrapped one is a failure
			return nil
		}
		if err != nil {
			return err
		}
		if err := a.ledger.Add(fetched{Name: a.name, Size: a.at}); err != nil {
			return err
		}
		if a.unsynced >= a.syncEvery {
			if err := a.checkpoint(ctx); err != nil {
				return err
			}
		}
	}
}
