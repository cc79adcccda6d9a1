package dump

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
)

// entry is a line of an archive's list of contents, as pg_restore writes and reads it:
//
//	3361; 0 16402 TABLE DATA public orders shop
type entry struct {
	line string
	// kind is what it is, where that matters here, and rest what stands behind the numbers.
	kind, rest string
}

var listed = pattern.New(`^\d+; \d+ \d+ ((?:(TABLE DATA|SEQUENCE SET|BLOBS|STATISTICS DATA|ACL|DEFAULT ACL|SECURITY LABEL|MATERIALIZED VIEW DATA) )?.*)$`)

// fills reports whether an entry fills a materialized view.
func (e entry) fills() bool { return e.kind == "MATERIALIZED VIEW DATA" }

// right reports whether an entry says what roles may do.
func (e entry) right() bool { return e.kind == "ACL" || e.kind == "DEFAULT ACL" }

// publicEntry is how the list of contents names the schema public, and then its owner;
// namesPublic how a script names both.
const publicEntry = "SCHEMA - public "

var namesPublic = pattern.New(`^-- Name: public; Type: SCHEMA; Schema: -; Owner: (.*?)\r?$`)

// makesPublic reports whether an entry makes the schema public, which the database has.
func (c contents) makesPublic(e entry) bool { return c.public != "" && e.rest == c.public }

// withoutLabels are the arguments with which pg_restore leaves labels of security out.
func (c contents) withoutLabels() []string {
	if len(c.labels) == 0 {
		return nil
	}
	return []string{"--no-security-labels"}
}

// entriesOf reads an archive's list of contents, or some sections of it.
func (r *restore) entriesOf(ctx context.Context, path string, sections ...string) (all []entry, err error) {
	var list bytes.Buffer
	cmd := recovery.Cmd{Path: r.server.Cluster().Tools.Program("pg_restore"), Args: append(append([]string{"--list"}, sections...), path), Dir: "/", Env: programEnv,
		User: userOf(r.handle), Stdout: &list}
	if err := r.env.Command(ctx, cmd); err != nil {
		return nil, r.unreadableArchive(err)
	}
	for line := range strings.Lines(list.String()) {
		line = strings.TrimRight(line, "\n")
		if m := listed.FindStringSubmatch(line); m != nil {
			all = append(all, entry{line: line, rest: m[1], kind: m[2]})
		}
	}
	return all, nil
}

// useList writes a list of the entries that are wanted, of all or some sections, and gives the
// argument with which pg_restore takes those alone. It stands instead of sections: which one a
// comment is of pg_restore tells by the entry before it, and in a list that may be missing.
func (r *restore) useList(ctx context.Context, path string, wanted func(entry) bool, sections ...string) (argument string, err error) {
	entries, err := r.entriesOf(ctx, path, sections...)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, e := range entries {
		if wanted(e) {
			b.WriteString(e.line + "\n")
		}
	}
	return r.writeList(b.String())
}

// writeList writes a list of contents for pg_restore.
func (r *restore) writeList(text string) (argument string, err error) {
	file := filepath.Join(r.handle.Dir, "archive.list")
	if err = os.RemoveAll(file); err == nil { // an earlier one is the server's user's
		err = os.WriteFile(file, []byte(text), 0o600)
	}
	if err == nil {
		err = r.give(file)
	}
	if err != nil {
		return "", fmt.Errorf("write which entries of the archive are restored: %w", err)
	}
	return "--use-list=" + file, nil
}
