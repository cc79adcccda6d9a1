package walg

import (
	"context"
	"encoding/json"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/tool"
)

// Name is the engine's, for `with:`.
const Name = "wal-g"

// Options are what the engine needs from outside.
type Options struct {
	pitr.Options
	// Expand resolves the references of a runbook outside of a run; nil leaves a text as
	// it is.
	Expand func(string) (string, error)
	// User is who the program runs as; nil is postgres.ServerUser.
	User func() (recovery.User, error)
	// Program finds WAL-G; nil looks on the path and where it usually is.
	Program func() (string, error)
}

// New makes the engine.
func New(o Options) recovery.Engine {
	if o.Program == nil {
		o.Program = tool.Finder("wal-g", "WAL-G", "put the program for PostgreSQL of its release into /usr/local/bin/wal-g")
	}
	return pitr.NewOver(form{tool.Program{Title: "WAL-G", Find: o.Program, User: o.User, Expand: o.Expand}}, o.Options)
}

// form is WAL-G's form of repository.
type form struct{ program tool.Program }

func (form) Name() string { return Name }

func (form) Keys() []recovery.Key {
	return []recovery.Key{
		{Name: "config", Doc: "WAL-G's configuration, if it is not .walg.json in the home of whom servers run as; or which copy has which", Example: "[nearby=/etc/wal-g/shop.json, offsite=/etc/wal-g/offsite.json]", List: true, Program: true},
		{Name: "environment", Doc: "what WAL-G needs to know beside its configuration, as WALG_…=value, AWS_…=value and the like; secrets as references", Example: `["WALG_LIBSODIUM_KEY=${CIPHER_KEY}"]`, List: true, Program: true},
		{Name: "repository", Doc: "the copy that WAL-G's storage is, where comeback cannot see that for itself", Example: "nearby"},
		{Name: "prefix", Doc: "where the storage lies in the copy; the copy itself if it is missing", Example: "walg"},
		{Name: "concurrency", Doc: "how many parts of a backup are fetched side by side; WAL-G's own choice if it is missing", Example: "4", Check: recovery.Number(1, maxConcurrency)},
	}
}

// place is where a storage is, as data: what a later process needs to open it. Its
// environment holds references, never what they stand for.
type place struct {
	Config      string   `json:"config,omitempty"`
	Environ     []string `json:"environment,omitempty"`
	Concurrency int      `json:"concurrency,omitempty"`
	// Prefix is where it lies in its copy, with a slash at its end; "" is at the top.
	Prefix string `json:"prefix,omitempty"`
	// Beside says that the copy's own store shows the storage, too.
	Beside bool `json:"beside,omitempty"`
}

// Find opens the storage that a copy is of the component; nil where it is none.
func (f form) Find(ctx context.Context, c recovery.Component, copy recovery.Copy, a pitr.Access) (pitr.Repository, error) {
	if c.With != Name {
		return nil, nil
	}
	p, named, err := placeOf(c, copy.Name)
	if err != nil || named && p == nil {
		return nil, err
	}
	r := &repository{form: f, place: *p, access: a}
	r.Beside = !named
	if named {
		return r, nil
	}
	for _, folder := range []string{backupFolder, logFolder} {
		if there, err := r.shows(ctx, folder); there || err != nil {
			return r, err
		}
	}
	return nil, nil
}

// Open opens what a survey has found.
func (f form) Open(l pitr.Layout, a pitr.Access) (pitr.Repository, error) {
	r := &repository{form: f, access: a}
	if err := json.Unmarshal(l.Form, &r.place); err != nil || l.Kind != Name {
		return nil, recovery.Errorf("survey the copy again with this version of comeback", "what is known of a repository of the kind %q cannot be read", l.Kind)
	}
	return r, nil
}

// environName is what WAL-G may be told: its own settings, and those of the storages that
// it knows. Neither is a way to programs or agents of the host.
var environName = pattern.New(`^(?:WALG|WALE|AWS|S3|GCS|GOOGLE|AZURE|OSS|OS|SWIFT|YC|SSH)_[A-Z0-9_]+$`)

// maxConcurrency bounds what a runbook may ask for.
const maxConcurrency = 999

// placeOf reads what a component says of a copy. Named says that it names copies; the place
// is nil then where this one is not among them.
func placeOf(c recovery.Component, copy string) (p *place, named bool, err error) {
	refuse := func(hint, format string, args ...any) (*place, bool, error) {
		return nil, false, recovery.Errorf(hint, "the component %s: "+format, append([]any{c.Name}, args...)...).WithExit(recovery.Usage)
	}
	p = &place{Environ: c.Settings["environment"]}
	var ok bool
	if p.Config, named, ok = tool.ForCopy(c.Settings["config"], copy); !ok {
		return refuse("write `config: FILE`, or which copy has which: `config: [nearby=FILE, offsite=FILE]`", "it has the configurations %s", strings.Join(c.Settings["config"], ", "))
	}
	if p.Config != "" && !path.IsAbs(p.Config) {
		return refuse("write its whole path", "the configuration %q is not an absolute path", p.Config)
	}
	for _, v := range p.Environ {
		if name, _, ok := strings.Cut(v, "="); !ok || !environName.MatchString(name) || name == "SSH_AUTH_SOCK" {
			return refuse("write WALG_SETTING=value, or a setting of the storage like AWS_REGION=value", "`environment` cannot hold %q", name)
		}
	}
	if text := c.Settings.Text("concurrency"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxConcurrency {
			return refuse("write a number from 1 to "+strconv.Itoa(maxConcurrency), "`concurrency` cannot be %q", text)
		}
		p.Concurrency = n
	}
	if prefix := strings.Trim(c.Settings.Text("prefix"), "/"); prefix != "" {
		p.Prefix = prefix + "/"
	}
	here := p.Config != ""
	if in := c.Settings.Text("repository"); in != "" {
		here = in == copy && (here || !named)
		named = true
	}
	if named && !here {
		return nil, true, nil
	}
	return p, named, nil
}

// The folders of a storage.
const (
	backupFolder = "basebackups_005/"
	logFolder    = "wal_005/"
)

// repository implements pitr.Repository and pitr.Restorer.
type repository struct {
	form
	place
	access pitr.Access

	listing sync.Mutex
	// listed is the archived log in the order of its names, once it was listed.
	listed []pitr.File
	known  bool
}

var (
	_ pitr.Repository = (*repository)(nil)
	_ pitr.Restorer   = (*repository)(nil)
	_ pitr.Marked     = (*repository)(nil)
)

// Marks is beside the folders of WAL-G, into which nothing is written.
func (r *repository) Marks(system string) string { return r.Prefix + "timelines/" + system + "/" }

func (r *repository) Layout() pitr.Layout {
	b, err := json.Marshal(r.place)
	if err != nil {
		panic("walg: the place of a storage: " + err.Error()) // plain data always encodes
	}
	return pitr.Layout{Kind: Name, Places: []pitr.Place{{Dir: r.Prefix + logFolder}}, Form: b}
}

// shows reports whether the copy itself has something below a folder of the storage.
func (r *repository) shows(ctx context.Context, folder string) (bool, error) {
	for _, err := range r.access.Store.List(ctx, r.Prefix+folder) {
		return err == nil, err
	}
	return false, nil
}

// has reports whether a folder may be listed: WAL-G makes one in a directory where there is
// none, and nothing is to be written there.
func (r *repository) has(ctx context.Context, folder string) (bool, error) {
	if !r.Beside {
		return true, nil
	}
	return r.shows(ctx, folder)
}

// call is a command of WAL-G on the storage.
func (r *repository) call(set []string, args ...string) tool.Call {
	c := tool.Call{Args: slices.Clone(args), Given: r.Environ, Set: set, Quiet: true}
	if r.Config != "" {
		c.Args = append(c.Args, "--config="+r.Config)
	}
	return c
}

// ask runs a command and gives its answer.
func (r *repository) ask(ctx context.Context, args ...string) ([]byte, error) {
	out, err := r.program.Ask(ctx, r.access.Env, r.call([]string{"WALG_LOG_LEVEL=ERROR"}, args...))
	return out, explained(err)
}
