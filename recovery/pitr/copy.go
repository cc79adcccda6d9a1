package pitr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// copyKind copies a base backup into the scratch target and proves it against
// its manifest. What makes the cluster startable comes last. An interruption
// leaves a directory that cannot be started, with a ledger of the files that are
// whole; doing the step again goes on from there.
type copyKind struct{ *engine }

func (k copyKind) Name() string            { return k.name() + ".copy" }
func (copyKind) Restart() recovery.Restart { return recovery.Continue }

func (k copyKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	args, cluster, handle, err := k.open(ctx, env, s)
	if err != nil {
		return recovery.Outcome{}, err
	}
	base := args.Facts.Base
	base.Objects = args.Objects
	repo, err := k.reenter(ctx, env, handle, args.Copy, args.Facts.Layout)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := cluster.Claim(ctx, env); err != nil {
		return recovery.Outcome{}, err
	}
	if err := cluster.Halt(ctx); err != nil { // of a replay that was begun
		return recovery.Outcome{}, err
	}
	if err := postgres.ForgetHandOver(handle.Dir); err != nil { // of what was restored before
		return recovery.Outcome{}, err
	}
	past, err := openCopies(handle.Dir, args)
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer past.ledger.Close()
	c := copying{engine: k.engine, args: args, base: base, cluster: cluster, handle: handle, past: past, meter: env.Meter()}
	var o recovery.Outcome
	switch r := repo.(type) {
	case Unpacker:
		if len(base.Chain) > 0 {
			o, err = c.combine(ctx, env, r)
		} else {
			o, err = c.unpack(ctx, r)
		}
	case Restorer:
		o, err = c.restore(ctx, r)
	default:
		err = unknownForm(args.Facts.Layout)
	}
	if err != nil {
		return recovery.Outcome{}, copyFailed(ctx, cluster.Tools, base, err)
	}
	return o, checkCluster(ctx, cluster, args.Facts)
}

// copying is one execution of a copy step.
type copying struct {
	*engine
	args    copyArgs
	base    Base
	cluster postgres.Cluster
	handle  recovery.Handle
	past    *copies
	meter   recovery.Meter
}

// unpack writes the files of a base backup that is streamed.
func (c copying) unpack(ctx context.Context, r Unpacker) (recovery.Outcome, error) {
	t, err := c.copyFiles(ctx, r)
	if err != nil {
		return recovery.Outcome{}, err
	}
	return t.outcome(c.base, c.args.Facts), t.Close()
}

// copyFiles writes the files of a base backup below the target, and proves them.
func (c copying) copyFiles(ctx context.Context, r Unpacker) (done *tree, err error) {
	t, err := newTree(c.handle.Dir, c.handle.Owner, c.past)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	var total int64
	for _, o := range c.base.Objects {
		total += o.Size
	}
	t.meter, t.syncEvery = c.meter, c.SyncEvery
	t.checkpoint = func(says string) error { return t.meter.Checkpoint(ctx, says) }
	if len(c.past.files) > 0 {
		t.meter.Log(fmt.Sprintf("comeback: an earlier attempt has left %d files", len(c.past.files)))
		if c.base.Packing != Plain {
			t.meter.Log("comeback: the backup is read again from its beginning, because it is compressed; what is there is not written again")
		}
	}
	t.meter.Phase("copy the base backup", total, recovery.InBytes)
	if err := r.Unpack(ctx, c.base, t); err != nil {
		return nil, err
	}
	t.meter.Phase("prove the base backup", 0, recovery.NoUnit)
	return t, t.finish()
}

// Revive proves that the copy is still there. Before the log is replayed the
// ledger says so, even after a reboot; from then on the data directory is the
// server's, which runs with fsync off.
func (k copyKind) Revive(ctx context.Context, env recovery.Env, s recovery.Step, _ recovery.Outcome, rebooted bool) error {
	args, cluster, handle, err := k.open(ctx, env, s)
	if err != nil {
		return err
	}
	if handed, err := postgres.HandedOver(handle.Dir, rebooted); handed || err != nil {
		return err
	}
	begun, err := replaying(handle.Dir, rebooted)
	if err == nil && !begun {
		err = wholeCopy(handle.Dir, args, rebooted)
	}
	if err != nil {
		return err
	}
	return cluster.Is(ctx, args.Facts.Line.System)
}

// open finds what the step is about.
func (k copyKind) open(ctx context.Context, env recovery.Env, s recovery.Step) (args copyArgs, c postgres.Cluster, h recovery.Handle, err error) {
	if err = s.Decode(&args); err != nil {
		return args, c, h, err
	}
	tools, err := k.Tools(args.Facts.Line.Major)
	if err != nil {
		return args, c, h, err
	}
	h, err = env.Target(ctx, args.Target)
	return args, clusterIn(h, tools), h, err
}

// clusterIn is the cluster in a scratch target.
func clusterIn(h recovery.Handle, tools postgres.Tools) postgres.Cluster {
	return postgres.Cluster{Data: filepath.Join(h.Dir, dataDir), Owner: h.Owner, Tools: tools}
}

// copyFailed gives a failure its next step.
func copyFailed(ctx context.Context, tools postgres.Tools, b Base, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("copy base backup %s: %w", b.ID, context.Cause(ctx))
	}
	hint := recovery.HintOf(err)
	if hint == "" && errors.Is(err, storage.ErrCorrupt) {
		hint = "choose another base backup, or the same from another copy, and find out what damaged this one"
	}
	hint = cmp.Or(hint, recovery.CopyHint(err), tools.HintFor(err.Error()), "read the step's log, then retry")
	return recovery.Errorf(hint, "copy base backup %s: %w", b.ID, err)
}

// checkCluster proves that what was copied is the cluster that the point was
// resolved for.
func checkCluster(ctx context.Context, c postgres.Cluster, f pointFacts) error {
	version, err := os.ReadFile(filepath.Join(c.Data, "PG_VERSION"))
	if err != nil {
		return fmt.Errorf("read the version of the base backup: %w", err)
	}
	if v := strings.TrimSpace(string(version)); v != strconv.Itoa(c.Tools.Major) {
		return recovery.Errorf("install PostgreSQL "+v+", and choose the moment again",
			"base backup %s is of PostgreSQL %s, and its log of %d", f.Base.ID, v, c.Tools.Major).WithExit(recovery.Refused)
	}
	control, err := postgres.ReadControl(ctx, c.Tools, c.Data)
	if err != nil {
		return err
	}
	if control.SystemIdentifier != f.Line.System {
		return recovery.Errorf("name the right archive with the setting wal, then make a new plan",
			"the WAL archive belongs to another cluster: its system identifier is %s, that of base backup %s is %s",
			f.Line.System, f.Base.ID, control.SystemIdentifier).WithExit(recovery.Refused)
	}
	return nil
}

// outcome says what was copied and how it was proven.
func (t *tree) outcome(b Base, f pointFacts) recovery.Outcome {
	o := recovery.Outcome{Facts: map[string]string{
		"base backup":             b.ID,
		recovery.SystemIdentifier: f.Line.System,
		recovery.ServerMajor:      fmt.Sprint(f.Line.Major),
		"files":                   strconv.Itoa(len(t.written)),
		"bytes":                   strconv.FormatInt(t.size, 10),
	}}
	o.Says = fmt.Sprintf("base backup %s copied: %d files, %s", b.ID, len(t.written), recovery.FormatBytes(t.size))
	if t.manifest == nil {
		o.Remarks = append(o.Remarks, fmt.Sprintf("base backup %s has no backup_manifest, so its files could not be compared with what the server read", b.ID))
	} else {
		o.Says += "; every checksum of its manifest holds"
		o.Facts["manifest"] = "every file matches backup_manifest"
	}
	if t.kept > 0 {
		o.Says += fmt.Sprintf("; %d of them were there from the attempt before", t.kept)
	}
	if t.foreign > 0 {
		o.Says += fmt.Sprintf("; %d files that the manifest does not list were left out", t.foreign)
	}
	return o
}
