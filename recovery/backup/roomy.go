package backup

import (
	"context"
	"io"
	"strings"

	"comeback/recovery"
	"comeback/storage"
)

// roomy is a copy on a disk that something lives on: what a backup would take of the last of
// its room is not stored. What is told of a backup once all of it is there is small, and is
// stored all the same.
type roomy struct {
	storage.Store
	room func(more int64) error
}

// watched is a copy whose room somebody may have to look at.
func (o Options) watched(c recovery.Copy, s storage.Store) storage.Store {
	if o.CopyRoom == nil {
		return s
	}
	if room := o.CopyRoom(c); room != nil {
		return roomy{s, room}
	}
	return s
}

func (r roomy) Unwrap() storage.Store { return r.Store }

// Put asks for the room beforehand, as far as the size is known, and again and again while it
// stores. What is refused is this copy's alone: the others read the source on.
func (r roomy) Put(ctx context.Context, key string, in io.Reader, options storage.PutOptions) (storage.Object, error) {
	if strings.HasPrefix(key, manifests) || strings.HasPrefix(key, runbooksDir) {
		return r.Store.Put(ctx, key, in, options)
	}
	if err := r.room(max(options.Size, 0)); err != nil {
		return storage.Object{}, err
	}
	body := &looking{r: in, room: r.room}
	o, err := r.Store.Put(ctx, key, body, options)
	if body.full != nil {
		return storage.Object{}, body.full
	}
	return o, err
}

// lookEvery is after how many bytes the room is looked at again.
const lookEvery = 64 << 20

// looking is what is stored while the room for it is looked at.
type looking struct {
	r        io.Reader
	room     func(more int64) error
	unlooked int64
	full     error
}

func (l *looking) Read(p []byte) (int, error) {
	if l.full == nil && l.unlooked >= lookEvery {
		l.unlooked, l.full = 0, l.room(0)
	}
	if l.full != nil {
		return 0, l.full
	}
	n, err := l.r.Read(p)
	l.unlooked += int64(n)
	return n, err
}
