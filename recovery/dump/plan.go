package dump

import (
	"fmt"

	"comeback/recovery"
	"comeback/storage"
)

// args are what every step of a restore is told.
type args struct {
	Component string            `json:"component"`
	Copy      string            `json:"copy"`
	Backup    string            `json:"backup"`
	Target    recovery.TargetID `json:"target"`
	Head      head              `json:"head"`
	Objects   []storage.Object  `json:"objects"`
	Taken     recovery.Span     `json:"taken"`
	// Database is the name asked for, or "".
	Database string `json:"database,omitempty"`
	// Table is the only one that comes back; empty for all.
	Table string `json:"table,omitempty"`
}

// Plan is three steps: a scratch cluster, the dump into it, and what makes the
// result safe.
func (e engine) Plan(c recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	if !t.Scratch {
		return nil, recovery.Errorf("restore into scratch", "dumps are restored into scratch only, and %s is live", t.ID).WithExit(recovery.Refused)
	}
	h, err := headOf(p.Backup)
	if err != nil {
		return nil, err
	}
	facts, err := factsOf(p)
	if err != nil {
		return nil, err
	}
	table := facts.Table
	a := args{Component: c.Name, Copy: p.Copy, Backup: p.Backup.ID, Target: t.ID, Head: h, Objects: p.Backup.Objects,
		Taken: p.Backup.Taken, Database: c.Settings.Text("database"), Table: table}
	room := recovery.Guard{Kind: recovery.GuardRoom, Target: t.ID}
	room.Bytes, room.Likely = roomFor(h, p.Backup.Size(), facts.Source)
	if table != "" { // of which nobody knows how much of all it is
		room.Bytes, room.Likely = roomBeside(h, p.Backup.Size()), max(room.Bytes, room.Likely)
	}
	var reads []recovery.Ref
	for _, o := range p.Backup.Objects {
		reads = append(reads, recovery.Ref{Copy: p.Copy, Key: o.Key, Size: o.Size})
	}

	cluster := recovery.NewStep("cluster", clusterKind{}.Name(), "create and start a scratch cluster", a)
	restore := recovery.NewStep("restore", restoreKind{}.Name(),
		fmt.Sprintf("restore %s (%s, %s)", p.Backup.ID, h.Form.says(h.Packing), recovery.FormatBytes(p.Backup.Size())), a)
	restore.After, restore.Reads = []string{"cluster"}, reads
	if table != "" {
		restore.Says = fmt.Sprintf("restore only %s of %s", table, p.Backup.ID)
	}
	settle := recovery.NewStep("settle", settleKind{}.Name(), "gather statistics and make the restored database safe", a)
	settle.After = []string{"restore"}
	steps := []recovery.Step{cluster, restore, settle}
	for i := range steps {
		steps[i].Component, steps[i].Writes = c.Name, []recovery.TargetID{t.ID}
	}
	// Once, before anything is made: the cluster is part of what is asked for.
	steps[0].Guards = []recovery.Guard{room}
	return steps, nil
}

// Room: a table takes about what its COPY data do, its indexes half as much
// again. Text shrinks to an eighth, or, where it is what is compressed already, as
// images are, to half: those are digits of its bytes. The log is bounded by the tuned
// max_wal_size. An empty cluster with its first WAL segments takes 64 MB.
const (
	emptyCluster = 64 << 20
	shrinks      = 8
	shrinksLeast = 2
	mostWAL      = 4 << 30
)

// roomBeside is what a restore takes without a single row: an archive lies beside the cluster.
func roomBeside(h head, size int64) int64 {
	if h.Form.script() {
		return emptyCluster
	}
	return emptyCluster + size
}

// roomFor is how many bytes must be free to restore a dump of a size, and how many it may
// take where nobody knows how far it has shrunk; 0 where that is known. A database comes back as large as it was, or
// smaller.
func roomFor(h head, size, source int64) (least, likely int64) {
	beside := roomBeside(h, size)
	if source > 0 {
		return beside + source + source/10 + min(source/2, mostWAL), 0
	}
	of := func(text int64) int64 { return beside + text + min(text/2, mostWAL) }
	switch {
	case h.Packing != unpacked || h.Form == customArchive || h.Form == directoryArchive:
		return of(size * shrinksLeast), of(size * shrinks)
	default: // a script or a tar archive as it was dumped
		return of(size) + size/2, 0
	}
}
