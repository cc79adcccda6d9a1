package walg

import (
	"context"
	"errors"
	"fmt"
	"io"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/tool"
	"comeback/storage"
)

// readable are the packings of WAL-G that can be unpacked here, by the end of a name.
var readable = []struct {
	suffix string
	of     pitr.Packing
}{{".lz4", pitr.LZ4}, {".zst", pitr.Zstd}}

// settled looks for the cause of a failure that is not certain: it has WAL-G give the file's
// bytes as they are stored. Where all of them come, and end too early for what packed them,
// the file is cut off. Whatever else comes of it, the cause stays uncertain: the connection
// may have been mended since, and what is encrypted does not show where it should end.
func (r *repository) settled(ctx context.Context, name string, failed error) error {
	if !errors.Is(failed, pitr.ErrUncertain) {
		return failed
	}
	for _, packing := range readable {
		stored := name + packing.suffix
		err := r.unpack(ctx, logFolder+stored, packing.of)
		switch {
		case errors.Is(err, storage.ErrNotExist):
			continue
		case errors.Is(err, pitr.ErrCut):
			return &recovery.Error{What: fmt.Sprintf("%v: %s is cut off in the storage", failed, stored), Hint: "choose another copy, or get the segment from the server's pg_wal", Err: pitr.ErrCut}
		}
		return failed
	}
	return failed
}

// unpack reads an object of the storage, unpacked, to its end.
func (r *repository) unpack(ctx context.Context, key string, packing pitr.Packing) error {
	in, err := pitr.Unpacked(tool.Stream(ctx, func(ctx context.Context, out io.Writer) error {
		call := r.call([]string{"WALG_LOG_LEVEL=ERROR"}, "st", "cat", key)
		call.Stdout = out
		return explained(r.program.Run(ctx, r.access.Env, call))
	}), packing)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return errors.Join(err, in.Close())
}
