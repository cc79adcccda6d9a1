package dump

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/dump/script"
	"comeback/recovery/postgres"
)

// contents are what an archive says before it is restored.
type contents struct {
	// definitions and rows are how many entries there are in the sections before and of
	// the data, rights those that say what roles may do; tables those of which rows come.
	definitions, rights, rows int
	tables                    int64
	// statistics says that there are those of tables behind their rows.
	statistics bool
	// fills are how many entries fill materialized views.
	fills int
	// public is how the list of contents names the schema public where the archive makes
	// it, ownsPublic the statement that gives it its owner.
	public     string
	ownsPublic script.Part
	// labels are those of security, which are a library's that scratch does not load.
	labels []script.Part
	roles  []string
	// superusers are roles that are given what only superusers are; subscriptions are of that
	// kind where that is so.
	superusers    []string
	subscriptions bool
	extensions    []string
	// create is the archive's own CREATE DATABASE, settings what it says about
	// the database besides.
	create   script.Part
	settings []script.Part
	// alone is how many indexes and keys call functions that are not PostgreSQL's own, so
	// that nothing may be beside them in a script; too many where names are without
	// their schemas, as old majors wrote them.
	alone int
}

// readContents reads the archive's table of contents as pg_restore shows it.
func (r *restore) readContents(ctx context.Context, path string) (contents, error) {
	tools := r.server.Cluster().Tools
	c := contents{subscriptions: tools.SubscribesAsSuperuser()}
	entries, err := r.entriesOf(ctx, path, "--section=pre-data", "--section=data")
	if err != nil {
		return c, err
	}
	for _, e := range entries {
		switch e.kind {
		case "TABLE DATA":
			c.tables++
			c.rows++
		case "SEQUENCE SET", "BLOBS":
			c.rows++
		case "STATISTICS DATA":
			c.statistics = true
			c.rows++
		case "ACL", "DEFAULT ACL":
			c.rights++
		case "SECURITY LABEL": // none is restored
		default:
			c.definitions++
		}
	}
	// All statements without the data.
	scanned, err := r.scanArchive(ctx, path, c.scan, "--create", "--section=pre-data", "--section=post-data", "--no-tablespaces")
	if scanned != nil && !errors.Is(scanned, script.ErrCutOff) {
		return c, scanned
	}
	if err = cmp.Or(err, scanned); err != nil {
		return c, r.unreadableArchive(err)
	}
	return c, nil
}

// scanArchive has a part of what pg_restore writes of an archive scanned, through a pipe: a
// catalogue can be large. It gives the errors of both.
func (r *restore) scanArchive(ctx context.Context, path string, scan func(*script.Reader) error, part ...string) (scanned, wrote error) {
	out, in := io.Pipe()
	ends := make(chan error, 1)
	go func() {
		err := scan(script.NewReader(out))
		out.CloseWithError(err) // nil is io.EOF, which nobody sees
		ends <- err
	}()
	cmd := recovery.Cmd{Path: r.server.Cluster().Tools.Program("pg_restore"), Args: append(part, "--file=-", path), Dir: "/", Env: programEnv, User: userOf(r.handle), Stdout: in}
	wrote = r.env.Command(ctx, cmd)
	in.Close()
	return <-ends, wrote
}

// unreadableArchive is pg_restore's refusal of the archive itself.
func (r *restore) unreadableArchive(err error) error {
	hint := "choose another dump or another copy: this archive is damaged or cut off"
	if strings.Contains(err.Error(), "unsupported version") {
		hint = fmt.Sprintf("install a newer PostgreSQL, at least %d", postgres.MajorForArchive(r.args.Head.Archive))
	}
	return recovery.Errorf(hint, "read the contents of %s: %w", r.args.Backup, err)
}

// scan collects what must be there before the restore begins.
func (c *contents) scan(r *script.Reader) error {
	public := ""
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the contents of the archive: %w", err)
		}
		if p.Kind == script.Comment {
			if m := namesPublic.FindStringSubmatch(string(p.Text)); m != nil {
				public = publicEntry + m[1]
			}
		}
		if p.Kind != script.Statement {
			continue
		}
		if public != "" && script.MakesPublic(p) {
			c.public = public
		}
		summary := p.Summary()
		c.roles = append(c.roles, script.Roles(p)...)
		if role := script.SuperuserOwner(p, c.subscriptions); role != "" && !slices.Contains(c.superusers, role) {
			c.superusers = append(c.superusers, role)
		}
		if e := p.Effect(); (e.Act == script.BuildIndex || e.Act == script.AddKey) && (e.Calls || e.Casts) {
			c.alone++
		}
		if strings.HasPrefix(summary, "SET search_path ") {
			c.alone = maxAlone + 1
		}
		if rest, ok := strings.CutPrefix(summary, "CREATE EXTENSION "); ok {
			rest = strings.TrimPrefix(rest, "IF NOT EXISTS ")
			name, _, _ := strings.Cut(rest, " ")
			c.extensions = append(c.extensions, strings.Trim(name, `"`))
		}
		switch j := script.Judge(p, superuser); {
		case j.Creates != "":
			c.create = p
			c.create.Text = bytes.Clone(p.Text)
		case aboutDatabase.MatchString(summary):
			p.Text = bytes.Clone(p.Text)
			c.settings = append(c.settings, p)
		case strings.HasPrefix(summary, "SECURITY LABEL "):
			p.Text = bytes.Clone(p.Text)
			c.labels = append(c.labels, p)
		case c.public != "" && script.OwnsPublic(p):
			c.ownsPublic = p
			c.ownsPublic.Text = bytes.Clone(p.Text)
		case strings.HasPrefix(summary, "REFRESH MATERIALIZED VIEW "):
			c.fills++
		case j.Verdict != script.Pass:
			return recovery.Errorf("restore a dump as pg_dump writes it",
				"the archive is refused: %s: %s", summary, j.Why).WithExit(recovery.Refused)
		}
	}
}

// aboutDatabase are the statements that pg_restore gives only with --create.
var aboutDatabase = pattern.New(`^(ALTER DATABASE |COMMENT ON DATABASE |SECURITY LABEL .*ON DATABASE |(GRANT|REVOKE) .* ON DATABASE |ALTER ROLE .* IN DATABASE )`)
