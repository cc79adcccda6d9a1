package dump

import (
	"context"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// watchEvery is how often the server is asked what it is busy with.
const watchEvery = time.Second

// watch notes how far the server has come with what takes long and tells
// nothing itself: the builds of indexes. It ends with the function that it
// gives; what it cannot find out is not shown.
func (r *restore) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				noteIndexes(ctx, r.server, r.env.Meter())
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// noteIndexes notes the index build that is under way.
func noteIndexes(ctx context.Context, server *postgres.Server, meter recovery.Meter) {
	conn, err := server.Connect(ctx, "postgres")
	if err != nil {
		return // the restore itself says what is wrong with the server
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var note string
	err = conn.QueryRow(ctx, `
		select format('%s, %s: %s', left(regexp_replace(a.query, '\s+', ' ', 'g'), 60), p.phase,
			case when p.blocks_total > 0 then format('%s %%', 100 * p.blocks_done / p.blocks_total)
			     when p.tuples_total > 0 then format('%s %%', 100 * p.tuples_done / p.tuples_total)
			     else format('%s s', extract(epoch from now() - a.query_start)::int) end)
		from pg_stat_progress_create_index p join pg_stat_activity a using (pid)
		order by a.query_start limit 1`).Scan(&note)
	if err == nil {
		meter.Note(note)
	}
}
