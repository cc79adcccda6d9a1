package backrest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/tool"
	"comeback/storage"
)

// Name is the engine's, for `with:`.
const Name = "pgbackrest"

// Options are what the engine needs from outside.
type Options struct {
	pitr.Options
	// Expand resolves the references of a runbook outside of a run; nil leaves a text as
	// it is.
	Expand func(string) (string, error)
	// User is who the program runs as; nil is postgres.ServerUser.
	User func() (recovery.User, error)
	// Program finds pgBackRest; nil looks on the path and where it usually is.
	Program func() (string, error)
}

// New makes the engine.
func New(o Options) recovery.Engine {
	if o.Program == nil {
		o.Program = tool.Finder("pgbackrest", "pgBackRest", "install it, for example with: apt-get install pgbackrest")
	}
	p := tool.Program{Title: "pgBackRest", Find: o.Program, User: o.User, Expand: o.Expand, Complaint: complaint}
	return pitr.NewOver(form{p}, o.Options)
}

// form is pgBackRest's form of repository.
type form struct{ program tool.Program }

func (form) Name() string { return Name }

func (form) Keys() []recovery.Key {
	return []recovery.Key{
		{Name: "stanza", Doc: "the stanza of the cluster", Example: "shop"},
		{Name: "config", Doc: "pgBackRest's configuration, if it is not where pgBackRest looks for it", Example: "/etc/pgbackrest/pgbackrest.conf", Program: true},
		{Name: "repo", Doc: "the number of the repository in that configuration, 1 if it is missing; or which copy is which", Example: "[nearby=1, offsite=2]", List: true},
		{Name: "prefix", Doc: "where the repository lies in the copy; the copy itself if it is missing", Example: "pgbackrest"},
		{Name: "processes", Doc: "how many processes restore side by side; one for each processor if it is missing", Example: "4", Check: recovery.Number(1, maxProcesses)},
		{Name: "environment", Doc: "what pgBackRest needs to know beside its configuration, as PGBACKREST_…=value; secrets as references", Example: `["PGBACKREST_REPO1_CIPHER_PASS=${CIPHER_PASS}"]`, List: true, Program: true},
	}
}

// place is where a repository is, as data: what a later process needs to open it. Its
// environment holds references, never what they stand for.
type place struct {
	Stanza    string   `json:"stanza"`
	Config    string   `json:"config,omitempty"`
	Repo      int      `json:"repo"`
	Processes int      `json:"processes,omitempty"`
	Environ   []string `json:"environment,omitempty"`
	// Prefix is where it lies in its copy, with a slash at its end; "" is at the top.
	Prefix string `json:"prefix,omitempty"`
	// Sealed says that it is encrypted.
	Sealed bool `json:"sealed,omitempty"`
}

// Find opens the repository that a copy is of the component's stanza; nil where it is
// none.
func (f form) Find(ctx context.Context, c recovery.Component, copy recovery.Copy, a pitr.Access) (pitr.Repository, error) {
	if c.With != Name {
		return nil, nil
	}
	p, err := placeOf(c)
	if err != nil {
		return nil, err
	}
	repo, stands, err := repoOf(c, copy.Name)
	if err != nil || repo == 0 {
		return nil, err
	}
	p.Repo = repo
	if !stands {
		_, err := a.Store.Stat(ctx, p.Prefix+p.backups()+"backup.info")
		if errors.Is(err, storage.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("look for the stanza %s in copy %s: %w", p.Stanza, copy.Name, err)
		}
	}
	return &repository{form: f, place: p, access: a, beside: !stands}, nil
}

// Open opens what a survey has found.
func (f form) Open(l pitr.Layout, a pitr.Access) (pitr.Repository, error) {
	r := &repository{form: f, access: a, places: l.Places}
	if err := json.Unmarshal(l.Form, &r.place); err != nil || l.Kind != Name {
		return nil, recovery.Errorf("survey the copy again with this version of comeback", "what is known of a repository of the kind %q cannot be read", l.Kind)
	}
	return r, nil
}

var (
	stanzaName  = pattern.New(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	environName = pattern.New(`^PGBACKREST_[A-Z0-9_]+$`)
)

// placeOf reads what a component says.
func placeOf(c recovery.Component) (place, error) {
	refuse := func(hint, format string, args ...any) (place, error) {
		return place{}, recovery.Errorf(hint, "the component %s: "+format, append([]any{c.Name}, args...)...).WithExit(recovery.Usage)
	}
	p := place{Stanza: c.Settings.Text("stanza"), Config: c.Settings.Text("config"), Environ: c.Settings["environment"]}
	switch {
	case p.Stanza == "":
		return refuse("write `stanza: NAME` into the component, as in pgBackRest's configuration", "it does not say which stanza is its own")
	case !stanzaName.MatchString(p.Stanza):
		return refuse("write it as in pgBackRest's configuration", "%q is no name of a stanza", p.Stanza)
	case p.Config != "" && !path.IsAbs(p.Config):
		return refuse("write its whole path", "the configuration %q is not an absolute path", p.Config)
	}
	for _, v := range p.Environ {
		if name, _, ok := strings.Cut(v, "="); !ok || !environName.MatchString(name) {
			return refuse("write PGBACKREST_OPTION=value", "`environment` cannot hold %q", name)
		}
	}
	if text := c.Settings.Text("processes"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxProcesses {
			return refuse(fmt.Sprintf("write a number from 1 to %d", maxProcesses), "`processes` cannot be %q", text)
		}
		p.Processes = n
	}
	if prefix := strings.Trim(c.Settings.Text("prefix"), "/"); prefix != "" {
		p.Prefix = prefix + "/"
	}
	return p, nil
}

// repoOf is the number of the repository that a copy is: 0 where it is none. Stands
// says that the runbook names the copy, so that nothing in it has to show it.
func repoOf(c recovery.Component, copy string) (n int, stands bool, err error) {
	all := c.Settings["repo"]
	v, named, ok := tool.ForCopy(all, copy)
	if ok && v == "" {
		if named {
			return 0, false, nil
		}
		v = "1"
	}
	n, err = strconv.Atoi(v)
	if !ok || err != nil || n < 1 || n > maxRepos {
		return 0, false, recovery.Errorf("write `repo: 1`, or which copy is which: `repo: [nearby=1, offsite=2]`",
			"the component %s: %q is no repository of pgBackRest", c.Name, strings.Join(all, ", ")).WithExit(recovery.Usage)
	}
	return n, named, nil
}

const (
	// maxRepos is how many repositories pgBackRest can have.
	maxRepos = 256
	// maxProcesses is how many processes it can have.
	maxProcesses = 999
)

// backups and archive are where the stanza's parts lie in a repository.
func (p place) backups() string { return "backup/" + p.Stanza + "/" }
func (p place) archive() string { return "archive/" + p.Stanza + "/" }

// repository implements pitr.Repository and pitr.Restorer.
type repository struct {
	form
	place
	access pitr.Access
	places []pitr.Place
	// beside says that the copy's own store shows the repository, too.
	beside bool
}

var (
	_ pitr.Repository = (*repository)(nil)
	_ pitr.Restorer   = (*repository)(nil)
	_ pitr.Marked     = (*repository)(nil)
)

// Marks is beside the stanza, into which nothing is written.
func (r *repository) Marks(system string) string { return r.Prefix + "timelines/" + system + "/" }

func (r *repository) Layout() pitr.Layout {
	b, err := json.Marshal(r.place)
	if err != nil {
		panic("backrest: the place of a repository: " + err.Error()) // plain data always encodes
	}
	return pitr.Layout{Kind: Name, Places: r.places, Form: b}
}
