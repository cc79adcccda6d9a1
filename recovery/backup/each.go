package backup

import (
	"context"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// eachTime is how long a copy may take to be given something small, or to list it.
const eachTime = 30 * time.Second

// InEach asks every copy at once, as it is now, and gives the failures by the copies' names.
func InEach(ctx context.Context, copies []recovery.Copy, open func(context.Context, recovery.Copy) (storage.Store, error), do func(context.Context, string, storage.Store) error) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, eachTime)
	defer cancel()
	var wait sync.WaitGroup
	var mu sync.Mutex
	failed := map[string]error{}
	for _, c := range copies {
		wait.Go(func() {
			store, err := open(ctx, c)
			if err == nil {
				err = do(ctx, c.Name, storage.Current(store))
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[c.Name] = err
			}
		})
	}
	wait.Wait()
	return failed
}
