package pitr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/neighbours"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// linkChains finds what each incremental backup is incremental to: the backup that
// began where its label says. From then on it holds their objects too, and cannot be
// restored without one of them.
func linkChains(all []Base) {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(all[a].Start, all[b].Start) })
	for _, i := range order {
		b := &all[i]
		if b.Before == 0 || b.Problem != "" {
			continue
		}
		parent, why := b.parent(all)
		if why != "" {
			b.Problem = why
			continue
		}
		own := b.Objects
		b.Chain = append(slices.Clone(parent.Chain), parent)
		b.Objects = append(slices.Clone(parent.Objects), own...)
		b.Warnings = append(slices.Clone(parent.Warnings), b.Warnings...)
		full := b.Chain[0]
		b.Details = map[string]string{"incremental to": parent.ID, "full backup": full.ID, "backups in its chain": strconv.Itoa(len(b.Chain) + 1)}
	}
}

// parent is the backup that b is incremental to; why says why there is none of use.
func (b Base) parent(all []Base) (parent Base, why string) {
	if b.Manifest == "" {
		return Base{}, "it is incremental and has no backup_manifest, without which pg_combinebackup takes none"
	}
	why = fmt.Sprintf("it is incremental, and the backup before it, which began at %s, is not in the copy", b.Before)
	for _, p := range all {
		switch {
		case p.Start != b.Before || p.Start >= b.Start || p.System != b.System:
		case p.Problem != "":
			why = fmt.Sprintf("it is incremental to %s, which cannot be used: %s", p.ID, p.Problem)
		case p.Manifest == "":
			why = fmt.Sprintf("it is incremental to %s, which has no backup_manifest, without which pg_combinebackup takes none", p.ID)
		default:
			return p, ""
		}
	}
	return Base{}, why
}

// parts are the backups that b is made of, the full one first, each with the objects
// that are its own.
func (b Base) parts() []Base {
	parts := append(slices.Clone(b.Chain), b)
	for i := range parts {
		p := &parts[i]
		p.Chain, p.Objects = nil, nil
		for _, o := range b.Objects {
			if path.Dir(o.Key)+"/" == p.Root || p.Format == "plain" && (strings.HasPrefix(o.Key, p.Root) || p.keepsBeside(o.Key)) {
				p.Objects = append(p.Objects, o)
			}
		}
	}
	return parts
}

// keepsBeside reports whether an object lies in one of a tree's tablespaces beside it.
func (b Base) keepsBeside(key string) bool {
	rest, ok := strings.CutPrefix(key, aroundRoot(b.Root))
	oid, _, inside := strings.Cut(rest, "/")
	return ok && inside && path.Base(b.Root) == "data" && slices.Contains(b.Tablespaces, oid)
}

// follow finds the backup that the one to be taken may be incremental to, by
// `incremental:` of the component, and fetches its manifest. Empty is a full backup;
// what stands against another one although the runbook asks for it is remarked.
func (t *basing) follow(ctx context.Context, conn *pgx.Conn, m *recovery.Manifest) (manifest string, err error) {
	most, err := incrementals(t.Component)
	if err != nil || most == 0 {
		return "", err
	}
	full := func(why string) (string, error) {
		m.Remarks = append(m.Remarks, "a full backup was taken, not an incremental one: "+why)
		return "", nil
	}
	if major := postgres.Major(t.server.Version); !postgres.TakesIncremental(major) {
		return full(fmt.Sprintf("the server is PostgreSQL %d, and they are there from 17 on", major))
	}
	var summarizes string
	if err := conn.QueryRow(ctx, "select current_setting('summarize_wal')").Scan(&summarizes); err != nil {
		return "", fmt.Errorf("ask whether the log is summarized: %w", err)
	}
	if summarizes != "on" {
		return full("the server does not summarize its log; alter system set summarize_wal = on")
	}
	native := t.native(t.Component, neighbours.See(t.Component, t.Store))
	found, err := native.list(ctx)
	if err != nil {
		return "", err
	}
	all, err := native.bases(ctx, found)
	if err != nil {
		return "", err
	}
	var parent Base
	for _, b := range all {
		if b.Problem == "" && b.Manifest != "" && b.System == t.server.SystemIdentifier && b.Timeline == t.server.Timeline &&
			strings.HasPrefix(b.ID, t.prefix()) && b.Start > parent.Start {
			parent = b
		}
	}
	if parent.Start == 0 || len(parent.Chain) >= most {
		return "", nil // the first, or the turn of a full one
	}
	manifest = filepath.Join(t.Temp, "followed_manifest")
	i := slices.IndexFunc(parent.Objects, func(o storage.Object) bool { return o.Key == parent.Manifest })
	if err := fetchFile(storage.NewReader(ctx, t.Store, parent.Objects[i], t.Read), manifest); err != nil {
		return "", fmt.Errorf("fetch %s: %w", parent.Manifest, err)
	}
	m.Source["incremental to"] = parent.ID
	for _, o := range parent.Objects { // of its whole chain
		m.Reused = append(m.Reused, o.Key)
	}
	return manifest, nil
}

// maxIncrementals is how many incremental backups may follow a full one at most.
const maxIncrementals = 1000

// incrementals is how many incremental backups may follow a full one.
func incrementals(c recovery.Component) (int, error) {
	text := c.Settings.Text("incremental")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxIncrementals {
		return 0, recovery.Errorf("write how many incremental backups follow a full one, like `incremental: 6`",
			"the setting incremental of %s is %q", c.Name, text).WithExit(recovery.Usage)
	}
	return n, nil
}

// fetchFile writes what is read into a new file, private to this user.
func fetchFile(in io.ReadCloser, to string) (err error) {
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
