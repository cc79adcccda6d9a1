package dump

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"

	"comeback/recovery"
)

// wholeTar refuses a tar archive that is cut off, before pg_restore loops over
// it.
func (r *restore) wholeTar(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("look at the archive: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at the archive: %w", err)
	}
	tail := make([]byte, min(info.Size(), tailBytes))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil {
		return fmt.Errorf("look at the archive: %w", err)
	}
	whole := endsLikeTar(tail)
	for in := tar.NewReader(f); whole; {
		if _, err := in.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			whole = false
		}
	}
	return recovery.Errorf("choose an older dump, and look at what writes them: it was stopped in the middle", "%s: %s", r.args.Backup, tarCutOff)
}
