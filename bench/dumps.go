package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// rows are all there are.
func rows() []row {
	piped := "gunzip \\| psql, default cluster, synced"
	return []row{
		{name: "plain", work: "plain .sql.gz, the shop", peer: piped, goal: 0.65,
			prepare: dumped("shop", "plain", theShop), ours: restoreDump, theirs: gunzipPsql},
		{name: "plain-table", work: "… one dominating table", peer: piped, goal: 0.65,
			prepare: dumped("table", "plain", streamed(oneTable, oneTableRows, 95)), ours: restoreDump, theirs: gunzipPsql},
		{name: "plain-small", work: "… 2 000 small tables", peer: piped, goal: 0.65,
			prepare: dumped("small", "plain", filled(manyTables, 63)), ours: restoreDump, theirs: gunzipPsql},
		{name: "plain-index", work: "… the shop beside one dominating index", peer: piped, goal: 0.65,
			prepare: dumped("shop-index", "plain", shopWithIndex), ours: restoreDump, theirs: gunzipPsql},
		{name: "plain-index-alone", work: "… one index and nearly nothing else", peer: piped, goal: 0.65,
			prepare: dumped("index", "plain", filled(oneIndex, 4*145)), ours: restoreDump, theirs: gunzipPsql},
		{name: "custom", work: "custom archive, the shop", peer: "pg_restore -j 2, default cluster, synced", goal: 0.80,
			prepare: dumped("shop", "custom", theShop), ours: restoreDump, theirs: pgRestore(false)},
		{name: "custom-index", work: "… beside one dominating index", peer: "pg_restore -j 2, default cluster, synced", goal: 0.80,
			prepare: dumped("shop-index", "custom", shopWithIndex), ours: restoreDump, theirs: pgRestore(false)},
		{name: "custom-tuned", work: "custom archive, the shop", peer: "pg_restore -j 2, a cluster tuned as ours, synced", goal: 1.02,
			prepare: dumped("shop", "custom", theShop), ours: restoreDump, theirs: pgRestore(true)},
		{name: "snapshot", work: "a snapshot of small files, from S3", peer: "restic, synced", goal: 0.80,
			prepare: trees, ours: restoreTree, theirs: resticTree},
		{name: "snapshot-far", work: "… far away", peer: "restic, synced", goal: 0.80, far: true,
			prepare: farTrees, ours: restoreTree, theirs: resticTree},
		moments("moment", "base backup and log to the latest moment, files", &archived{}),
		moments("moment-s3", "… from S3", &archived{inS3: true}),
		moments("moment-far", "… from S3, far away", &archived{inS3: true, far: true}),
		versions("versions", "a bucket that keeps versions, to a moment", false),
		versions("versions-tuned", "… the other with more transfers", false, "--transfers=16"),
		versions("versions-far", "… far away", true, "--transfers=16", "--checkers=16", "--fast-list"),
	}
}

func restoreDump(ctx context.Context, b *bench) (took, error) {
	return b.rehearse(ctx, b.data.copy, b.data.digest, b.data.query)
}

func gunzipPsql(ctx context.Context, b *bench) (took, error) {
	return b.byHand(ctx, false, func(s *server) *exec.Cmd {
		return exec.CommandContext(ctx, "bash", "-c", `set -eo pipefail; gunzip -c "$0" | "$1" -X -q -v ON_ERROR_STOP=1 -d "$2" > /dev/null`,
			b.data.file, s.tools.Program("psql"), s.url("bench"))
	})
}

func pgRestore(asOurs bool) func(context.Context, *bench) (took, error) {
	return func(ctx context.Context, b *bench) (took, error) {
		return b.byHand(ctx, asOurs, func(s *server) *exec.Cmd {
			return exec.CommandContext(ctx, s.tools.Program("pg_restore"), "-j", "2", "--exit-on-error", "-d", s.url("bench"), b.data.file)
		})
	}
}

// byHand restores as people do, into a fresh cluster, and compares what came back.
// Statistics, which ours gathers within its time, are not asked of it.
func (b *bench) byHand(ctx context.Context, asOurs bool, restore func(*server) *exec.Cmd) (took, error) {
	var conf map[string]string
	if asOurs {
		conf = tuned()
	}
	s, err := b.startServer(ctx, "peer", conf)
	if err != nil {
		return took{}, err
	}
	defer s.stop(ctx)
	for _, sql := range []string{"create role shop", "create database bench template template0"} {
		if _, err := s.ask(ctx, "postgres", sql); err != nil {
			return took{}, err
		}
	}
	c := startClock()
	cmd := restore(s)
	if out, err := cmd.CombinedOutput(); err != nil {
		return took{}, fmt.Errorf("%s: %w: %s", cmd.Path, err, out)
	}
	restored := c.stop()
	if err := s.sync(ctx); err != nil {
		return took{}, err
	}
	t := c.stop()
	fmt.Fprintf(os.Stderr, "  by hand: restored in %.2f s, synced in %.2f s\n", restored.wall.Seconds(), t.wall.Seconds())
	digest, err := s.ask(ctx, "bench", b.data.query)
	if err != nil {
		return t, err
	}
	if digest != b.data.digest {
		return t, fmt.Errorf("by hand something else came back: %s, not %s", digest, b.data.digest)
	}
	return t, nil
}
