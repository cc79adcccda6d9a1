package files

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/storage"
)

// Restic is the name of the engine for repositories of restic.
const Restic = "restic"

// NewRestic makes the engine for repositories that restic keeps. It lists and
// restores through the program itself and reads its JSON; the repository is read
// without a lock, so that nothing is ever written to it. The password is a reference
// of the runbook; it reaches restic in its environment, and no command line.
func NewRestic(o Options) recovery.Engine { return resticEngine{o.filled()} }

type resticEngine struct{ Options }

// Schema is what a component in a repository may say.
func (resticEngine) Schema() recovery.Schema {
	return recovery.Schema{Engine: Restic, Kind: recovery.Files, Outside: true, Keys: []recovery.Key{
		{Name: "path", Doc: "the live directory, as its snapshots name it", Example: "/srv/shop/uploads"},
		{Name: "host", Doc: "whose snapshots of it are meant, as restic names its hosts; without it those of all hosts, which is told where there are several", Example: "web1"},
		{Name: "prefix", Doc: "where the repository lies in a copy; the copy itself if it is missing", Example: "restic/"},
		{Name: "password", Doc: "a reference to the repository's password", Example: "${RESTIC_PASSWORD}"},
	}}
}

// Kinds are the steps of a restore.
func (e resticEngine) Kinds() []recovery.Kind { return []recovery.Kind{resticKind{e}} }

// resticFacts are what a survey keeps of a snapshot of restic.
type resticFacts struct {
	Form form `json:"form"`
	// Repository is where it lies: a copy, its references unresolved.
	Repository recovery.Copy `json:"repository"`
	Prefix     string        `json:"prefix,omitempty"`
	Snapshot   string        `json:"snapshot"`
	// Path is the tree in it.
	Path string `json:"path"`
}

const resticForm form = "restic"

// resticSnapshot is a snapshot as restic tells it.
type resticSnapshot struct {
	ID       string    `json:"id"`
	Time     time.Time `json:"time"`
	Paths    []string  `json:"paths"`
	Hostname string    `json:"hostname"`
	Tags     []string  `json:"tags"`
	// Summary is nil in snapshots of versions before 0.17.
	Summary *struct {
		Files int64 `json:"total_files_processed"`
		Bytes int64 `json:"total_bytes_processed"`
	} `json:"summary"`
}

// holds is the path of a component's tree in a snapshot.
func (s resticSnapshot) holds(live string) (string, bool) {
	if live == "" {
		return path.Clean("/" + strings.Join(s.Paths, "")), len(s.Paths) == 1
	}
	live = path.Clean(live)
	return live, slices.ContainsFunc(s.Paths, func(p string) bool { return p == live || p == "/" || strings.HasPrefix(live, p+"/") })
}

// Survey lists the snapshots that hold the component's tree. A snapshot's time is when
// it was begun: files may be from until its end, which restic does not tell.
func (e resticEngine) Survey(ctx context.Context, c recovery.Component, copy recovery.Copy, store storage.Store) (recovery.Survey, error) {
	s := recovery.Survey{Component: c.Name, Copy: copy.Name, Engine: Restic, At: e.Now()}
	if c.With != "" && c.With != Restic {
		return s, nil
	}
	prefix := c.Settings.Text("prefix")
	if _, err := store.Stat(ctx, prefix+"config"); err != nil {
		if errors.Is(err, storage.ErrNotExist) {
			return s, nil
		}
		return s, fmt.Errorf("survey copy %s: %w", copy.Name, err)
	}
	ended, err := resticEnds(ctx, store, prefix)
	if err != nil {
		return s, fmt.Errorf("survey copy %s: %w", copy.Name, err)
	}
	if len(ended) == 0 {
		return s, nil
	}
	r, err := e.repository(copy, prefix, c.Settings.Text("password"), e.expand)
	if err != nil {
		s.Findings = append(s.Findings, recovery.Finding{Object: prefix + "config", Says: fmt.Sprintf("a repository of restic with %d snapshots that cannot be looked into: %v", len(ended), err), Do: recovery.HintOf(err)})
		return s, nil
	}
	var out bytes.Buffer
	if err := r.run(ctx, &out, "snapshots", "--json"); err != nil {
		s.Findings = append(s.Findings, recovery.Finding{Object: prefix + "config", Says: "a repository of restic that cannot be read: " + err.Error(), Do: recovery.HintOf(err)})
		return s, nil
	}
	var all []resticSnapshot
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		return s, fmt.Errorf("survey copy %s: read what restic says of its snapshots: %w", copy.Name, err)
	}
	host := c.Settings.Text("host")
	for _, snap := range all {
		if tree, ok := snap.holds(c.Settings.Text("path")); ok && (host == "" || snap.Hostname == host) {
			s.Backups = append(s.Backups, snap.backup(s, resticFacts{Form: resticForm, Repository: copy, Prefix: prefix, Snapshot: snap.ID, Path: tree}, ended[snap.ID]))
		}
	}
	slices.SortFunc(s.Backups, older)
	if hosts := hostsOf(s.Backups); len(hosts) > 1 {
		s.Findings = append(s.Findings, recovery.Finding{Object: prefix + "config", Do: severalHosts,
			Says: fmt.Sprintf("it holds snapshots of %s by %s, and the newest of any of them counts", cmp.Or(c.Settings.Text("path"), "one directory"), strings.Join(hosts, " and "))})
	}
	return s, nil
}

// severalHosts is what to do where more than one host has snapshots of a path.
const severalHosts = "name the host whose tree is meant: host: in the component"

// hostsOf are the hosts that have made some snapshots.
func hostsOf(snapshots []recovery.Backup) (hosts []string) {
	for _, b := range snapshots {
		if host := b.Details["host"]; !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return hosts
}

// resticEnds lists when each snapshot was stored, which was after its last file.
func resticEnds(ctx context.Context, store storage.Store, prefix string) (map[string]time.Time, error) {
	ended := map[string]time.Time{}
	for o, err := range store.List(ctx, prefix+"snapshots/") {
		if err != nil {
			return nil, err
		}
		ended[path.Base(o.Key)] = o.Modified
	}
	return ended, nil
}

func (s resticSnapshot) backup(in recovery.Survey, f resticFacts, ended time.Time) recovery.Backup {
	text, err := json.Marshal(f)
	if err != nil {
		panic("files: facts of a snapshot: " + err.Error()) // plain data always encodes
	}
	b := recovery.Backup{ID: s.ID, Component: in.Component, Copy: in.Copy, Engine: Restic, Form: "snapshot of restic",
		Taken: recovery.Span{From: s.Time.UTC(), To: s.Time.UTC()}, Facts: text,
		Details: map[string]string{"tree": f.Path, "host": s.Hostname}}
	if ended.After(s.Time) {
		b.Taken.To = ended.UTC()
	}
	if len(s.Tags) > 0 {
		b.Details["tags"] = strings.Join(s.Tags, ", ")
	}
	if s.Summary != nil && slices.Equal(s.Paths, []string{f.Path}) { // it counts all of a snapshot
		b.Holds = recovery.Holds{Files: s.Summary.Files, Bytes: s.Summary.Bytes, Series: fmt.Sprintf("snapshot of %s:%s", s.Hostname, f.Path)}
	}
	return b
}

// Resolve chooses a snapshot as a backup of any form is chosen. Where several hosts have
// snapshots of the tree it warns of which one's it is.
func (e resticEngine) Resolve(ctx context.Context, s recovery.Survey, want recovery.Want, store storage.Store) (recovery.Point, error) {
	p, err := engine{e.Options, Restic, recovery.Files}.Resolve(ctx, s, want, store)
	if hosts := hostsOf(s.Backups); err == nil && len(hosts) > 1 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("the snapshot is by %s, and the repository has others of this tree by %s: %s",
			p.Backup.Details["host"], strings.Join(slices.DeleteFunc(hosts, func(h string) bool { return h == p.Backup.Details["host"] }), " and "), severalHosts))
	}
	return p, err
}

// resticArgs are what a restore is told.
type resticArgs struct {
	Component string            `json:"component"`
	Copy      string            `json:"copy"`
	Target    recovery.TargetID `json:"target"`
	Password  string            `json:"password,omitempty"`
	Facts     resticFacts       `json:"facts"`
	Taken     recovery.Span     `json:"taken"`
}

// Plan is one step.
func (e resticEngine) Plan(c recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	if !t.Scratch {
		return nil, recovery.Errorf("restore into scratch", "trees are restored into scratch only, and %s is live", t.ID).WithExit(recovery.Refused)
	}
	var f resticFacts
	if err := json.Unmarshal(p.Backup.Facts, &f); err != nil {
		return nil, recovery.Errorf("survey the copy again", "read what the survey says of %s: %w", p.Backup.ID, err)
	}
	s := recovery.NewStep("restore", resticKind{}.Name(), fmt.Sprintf("restore the snapshot %.8s with restic", f.Snapshot),
		resticArgs{Component: c.Name, Copy: p.Copy, Target: t.ID, Password: c.Settings.Text("password"), Facts: f, Taken: p.Backup.Taken})
	s.Component, s.Writes = c.Name, []recovery.TargetID{t.ID}
	s.Reads = []recovery.Ref{{Copy: p.Copy, Key: f.Prefix + "snapshots/" + f.Snapshot}}
	return []recovery.Step{s}, nil
}

// resticRepo runs restic on a repository.
type resticRepo struct {
	program string
	options []string
	environ []string
	// password is what the runbook says of it.
	password string
}

// repository finds the program and where the repository lies. The credentials of a
// bucket are those that this process has.
func (e resticEngine) repository(copy recovery.Copy, prefix, password string, expand func(string) (string, error)) (resticRepo, error) {
	r := resticRepo{password: password}
	if r.program = findRestic(); r.program == "" {
		return r, recovery.Errorf("install it, for example with: apt-get install restic", "restic is not installed here").WithExit(recovery.Usage)
	}
	for _, field := range []*string{&copy.URL, &copy.Endpoint, &copy.Region, &copy.Profile, &password} {
		v, err := expand(*field)
		if err != nil {
			return r, err
		}
		*field = v
	}
	if password == "" {
		return r, recovery.Errorf("give the component its `password`, a reference", "the runbook does not say what opens the repository").WithExit(recovery.Usage)
	}
	u, err := url.Parse(copy.URL)
	if err != nil {
		return r, recovery.Errorf("correct the copy's url in the runbook", "the url of the copy %s cannot be read", copy.Name).WithExit(recovery.Usage)
	}
	place := filepath.Join(u.Path, filepath.FromSlash(prefix))
	if u.Scheme == "s3" {
		endpoint := cmp.Or(copy.Endpoint, os.Getenv("AWS_ENDPOINT_URL"), "https://s3.amazonaws.com")
		place = "s3:" + strings.TrimSuffix(endpoint, "/") + "/" + strings.Trim(path.Join(u.Host, u.Path, prefix), "/")
	}
	r.options = []string{"--no-lock", "--quiet"}
	if copy.PathStyle {
		r.options = append(r.options, "-o", "s3.bucket-lookup=path")
	}
	r.environ = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "RESTIC_REPOSITORY=" + place, "RESTIC_PASSWORD=" + password}
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_DEFAULT_REGION", "HOME"} {
		if v, ok := os.LookupEnv(name); ok {
			r.environ = append(r.environ, name+"="+v)
		}
	}
	for name, v := range map[string]string{"AWS_PROFILE": copy.Profile, "AWS_DEFAULT_REGION": copy.Region} {
		if v != "" {
			r.environ = append(r.environ, name+"="+v)
		}
	}
	return r, nil
}

// findRestic finds restic on the path, or where it usually is: a runner has hardly any
// environment.
func findRestic() string {
	for _, program := range []string{"restic", "/usr/local/bin/restic", "/usr/bin/restic"} {
		if found, err := exec.LookPath(program); err == nil {
			return found
		}
	}
	return ""
}

// run asks the repository something before a run.
func (r resticRepo) run(ctx context.Context, out *bytes.Buffer, args ...string) error {
	var says bytes.Buffer
	err := isolation.Run(isolation.Command(ctx, recovery.Cmd{Path: r.program, Args: append(append(slices.Clone(r.options), "--no-cache"), args...), Env: r.environ, Stdout: out, Stderr: &says}))
	if err != nil && isWrongPassword(says.String()) {
		return wrongPassword(r.password)
	}
	return resticRefusal(err, says.String())
}

// resticRefusal gives what restic says its next step.
func resticRefusal(err error, says string) error {
	if err == nil {
		return nil
	}
	says = strings.TrimPrefix(strings.TrimSpace(says), "Fatal: ")
	first, _, _ := strings.Cut(says, "\n")
	if first == "" {
		first = err.Error()
	}
	hint := "look at the repository with restic itself"
	return recovery.Errorf(hint, "restic: %s", first)
}

// isWrongPassword reports whether restic has said that a password opens nothing.
func isWrongPassword(says string) bool { return strings.Contains(says, "wrong password") }

// wrongPassword is the error of that; text is what the runbook says of the password.
func wrongPassword(text string) *recovery.Error {
	from := giver{"password", text}
	return from.unfit("the password of this repository", "restic: wrong password: no key of the repository opens with %s", from.says()).WithExit(recovery.Refused)
}
