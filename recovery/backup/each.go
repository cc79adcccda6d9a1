package backup

import (
	"context"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// eachTime is how long a copy may take to be given something small, or to list it.
const eachTime = 30 * time.Second

// AskEach asks every copy at once, as it is now, and gives the answers in their order. One that
// does not answer in time is not waited for, so that a question must change nothing that its
// asker reads; see [storage.Each].
func AskEach[Says any](ctx context.Context, copies []recovery.Copy, open func(context.Context, recovery.Copy) (storage.Store, error), ask func(context.Context, string, storage.Store) (Says, error)) []storage.Answer[recovery.Copy, Says] {
	return storage.Each(ctx, copies, eachTime, func(ctx context.Context, c recovery.Copy) (says Says, err error) {
		store, err := open(ctx, c)
		if err != nil {
			return says, err
		}
		return ask(ctx, c.Name, storage.Current(store))
	})
}

// InEach is [AskEach] of what is done and has no answer, and gives the failures by the copies'
// names.
func InEach(ctx context.Context, copies []recovery.Copy, open func(context.Context, recovery.Copy) (storage.Store, error), do func(context.Context, string, storage.Store) error) map[string]error {
	failed := map[string]error{}
	for _, a := range AskEach(ctx, copies, open, func(ctx context.Context, name string, s storage.Store) (struct{}, error) {
		return struct{}{}, do(ctx, name, s)
	}) {
		if a.Err != nil {
			failed[a.Of.Name] = a.Err
		}
	}
	return failed
}
