package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/postgres"
)

// setAside removes what the restored cluster has no use for: slots of the source,
// which would keep its log for ever.
func (p *preparation) setAside(context.Context) error {
	const dir = "pg_replslot"
	slots, err := fs.ReadDir(p.root.FS(), dir)
	if err != nil {
		return fmt.Errorf("look for replication slots: %w", err)
	}
	for _, s := range slots {
		if err := p.root.RemoveAll(filepath.Join(dir, s.Name())); err != nil {
			return fmt.Errorf("remove the replication slot %s: %w", s.Name(), err)
		}
		p.Remarks = append(p.Remarks, fmt.Sprintf("replication slot %s came with the backup and was removed: make it anew for its standby", s.Name()))
	}
	return nil
}

// archivable makes sure that the live server's archiver takes everything of the new
// timeline: its history, and each segment since it branched off. A server that was
// promoted with archive_mode = on has marked them itself (.ready); what is not
// marked, is. A segment that is gone is a refusal: a later recovery would end there.
func (p *preparation) archivable(ctx context.Context) error {
	control, err := postgres.ReadControl(ctx, p.Tools, p.Pair.Beside)
	if err != nil {
		return err
	}
	history := walfile.HistoryName(control.Timeline)
	text, err := os.ReadFile(filepath.Join(p.Pair.Beside, "pg_wal", history))
	if errors.Is(err, fs.ErrNotExist) {
		return recovery.Errorf("restore it again", "refused: the restored cluster is on timeline %d and has no %s, so nobody could follow it", control.Timeline, history).WithExit(recovery.Refused)
	}
	if err != nil {
		return fmt.Errorf("read the history of the new timeline: %w", err)
	}
	fork, err := forkOf(text)
	if err != nil {
		return fmt.Errorf("read %s: %w", history, err)
	}
	// One that was live before has archived its history, and may have removed
	// what it has archived since.
	_, err = os.Lstat(filepath.Join(p.Pair.Beside, "pg_wal", "archive_status", history+".done"))
	wasLive := err == nil
	p.Archivable = []string{history}
	size := control.WALSegmentSize
	last := walfile.Number(control.CheckpointLSN, size) // it is not full, and is archived when it is
	for n := walfile.Number(fork, size); n < last; n++ {
		name := walfile.SegmentName(control.Timeline, n, size)
		if _, err := os.Lstat(filepath.Join(p.Pair.Beside, "pg_wal", name)); wasLive && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		p.Archivable = append(p.Archivable, name)
	}
	for _, name := range p.Archivable {
		if err := p.ready(name); err != nil {
			return err
		}
	}
	return nil
}

// FirstSegment is PostgreSQL's name of the segment with which the timeline of a live
// data directory begins; "" on timeline 1.
func FirstSegment(ctx context.Context, data string) (string, error) {
	major, err := postgres.MajorOf(data)
	if err != nil {
		return "", err
	}
	tools, err := postgres.FindTools(major)
	if err != nil {
		return "", err
	}
	control, err := postgres.ReadControl(ctx, tools, data)
	if err != nil || control.Timeline == 1 {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(data, "pg_wal", walfile.HistoryName(control.Timeline)))
	if err != nil {
		return "", fmt.Errorf("read the history of the new timeline: %w", err)
	}
	fork, err := forkOf(text)
	size := control.WALSegmentSize
	if err != nil || size == 0 {
		return "", fmt.Errorf("read the history of the new timeline: %w", errors.Join(err, errors.New("it does not say where it begins")))
	}
	return walfile.SegmentName(control.Timeline, walfile.Number(fork, size), size), nil
}

// forkOf is where a timeline branches off: in the last line of its history.
func forkOf(history []byte) (recovery.LSN, error) {
	var at recovery.LSN
	found := false
	for line := range bytes.Lines(history) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		lsn, err := recovery.ParseLSN(fields[1])
		if err != nil {
			return 0, err
		}
		at, found = lsn, true
	}
	if !found {
		return 0, errors.New("it does not say where the timeline branches off")
	}
	return at, nil
}

// ready marks a file of the log for the archiver, where it is not marked yet.
func (p *preparation) ready(name string) error {
	if _, err := p.root.Lstat(filepath.Join("pg_wal", name)); errors.Is(err, fs.ErrNotExist) {
		return recovery.Errorf("restore it again, and promote it with archive_mode = on and an empty archive_command, so that its log is kept",
			"refused: the restored cluster has removed %s of its log before it was archived", name).WithExit(recovery.Refused)
	} else if err != nil {
		return fmt.Errorf("look at the new timeline's log: %w", err)
	}
	status := filepath.Join("pg_wal", "archive_status", name)
	for _, mark := range []string{".ready", ".done"} {
		if _, err := p.root.Lstat(status + mark); err == nil {
			return nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look at the new timeline's log: %w", err)
		}
	}
	if err := p.create(status+".ready", nil); err != nil {
		return fmt.Errorf("mark %s for the archiver: %w", name, err)
	}
	return nil
}

// firstRecord is where in a segment the first record begins, behind the page's long header.
const firstRecord = 40

// LastSegment is PostgreSQL's name of the last segment that a server has finished which was
// shut down. One that archives closes its segment then, and writes nothing but the
// shutdown's own checkpoint behind it; what else was written, by one that does not, is in
// open, which nobody finishes.
func LastSegment(c postgres.Control) (last, open string, err error) {
	size := c.WALSegmentSize
	n := walfile.Number(c.CheckpointLSN, max(size, 1))
	if size == 0 || n == 0 {
		return "", "", errors.New("the control data do not say where the log ends")
	}
	if c.CheckpointLSN != walfile.Start(n, size)+firstRecord {
		open = walfile.SegmentName(c.Timeline, n, size)
	}
	return walfile.SegmentName(c.Timeline, n-1, size), open, nil
}
