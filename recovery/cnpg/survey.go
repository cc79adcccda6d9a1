package cnpg

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/provider"
	"comeback/storage"
)

// Survey asks for the source and its backups. A source that is gone may have left some,
// and the runbook says how it was made.
func (e engine) Survey(ctx context.Context, c recovery.Component, copy recovery.Copy, _ storage.Store) (recovery.Survey, error) {
	s := recovery.Survey{Component: c.Name, Copy: copy.Name, Engine: Name, At: e.Now()}
	if only := c.Settings.Text("copy"); c.With != Name || only != "" && only != copy.Name {
		return s, nil
	}
	a, err := accessOf(c)
	if err != nil {
		return s, err
	}
	name := c.Settings.Text("cluster")
	if name == "" {
		return s, recovery.Errorf("write `cluster: NAME` into the component", "the component %s does not say which Cluster it is", c.Name).WithExit(recovery.Usage)
	}
	k, err := a.open(ctx, e.Expand)
	if err != nil {
		return s, err
	}
	defer k.close()
	asked := asked{kube: k, survey: &s, component: c, facts: facts{Access: a, Source: name, Cost: c.Settings.Text("cost_per_hour")}}
	if err := asked.ask(ctx); err != nil {
		return s, fmt.Errorf("survey the backups of the cluster %s: %w", name, err)
	}
	slices.SortStableFunc(s.Backups, func(x, y recovery.Backup) int { return x.Taken.To.Compare(y.Taken.To) })
	return s, nil
}

// asked is a survey under way.
type asked struct {
	kube
	survey    *recovery.Survey
	component recovery.Component
	facts     facts
	source    cluster
	// end is the latest moment of which it is known that the archive has it; zero where
	// nothing is known.
	end time.Time
}

func (a *asked) ask(ctx context.Context) error {
	found, err := a.get(ctx, cnpgAPI, "clusters", a.facts.Source, &a.source)
	if err != nil {
		return err
	}
	all, err := list[backup](ctx, a.kube, cnpgAPI, "backups", nil)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(b backup) bool { return b.Spec.Cluster.Name != a.facts.Source })
	if !found && len(all) == 0 {
		return recovery.Errorf("check `cluster:`, `namespace:` and `context:` of the component", "there is no cluster %s in %s of %s, and no backup of one", a.facts.Source, a.Namespace, a.Context).WithExit(recovery.Usage)
	}
	if err := a.shape(found); err != nil {
		return err
	}
	for _, b := range all {
		a.backup(b)
	}
	if found {
		a.archive()
		a.schedules(ctx)
	}
	return nil
}

// shape is how what is restored is made, and how far the archive reaches.
func (a *asked) shape(found bool) error {
	var spec map[string]any
	f := &a.facts
	if found {
		if err := json.Unmarshal(a.source.Spec, &spec); err != nil {
			return a.decode(a.source.Spec, "the cluster "+f.Source, &spec)
		}
		f.UID, f.System = a.source.Metadata.UID, a.source.Status.SystemID
	} else {
		f.Gone = true
		finding := recovery.Finding{Object: f.Source, Says: "the cluster is gone; what it has left can be restored like its manifest says"}
		path := a.component.Settings.Text("manifest")
		if path == "" {
			finding.Says, finding.Do = "the cluster is gone, and nothing says how it was made", "write `manifest: FILE` into the component, the file with the Cluster as it was applied"
		}
		a.survey.Findings = append(a.survey.Findings, finding)
		if path == "" {
			return nil
		}
		var err error
		if spec, err = readManifest(path, f.Source); err != nil {
			return err
		}
	}
	f.Shape = shapeOf(f.Source, spec)
	if f.Gone {
		// Its generated secret has gone with it, so that the new one has its own.
		if f.Shape.Secret == generated(f.Source) {
			f.Shape.Secret = ""
		}
	}
	f.Shape.Database = cmp.Or(f.Shape.Database, "app")
	if found && f.Shape.Spec["imageName"] == nil && f.Shape.Spec["imageCatalogRef"] == nil && a.source.Status.Image != "" {
		f.Shape.Spec["imageName"] = a.source.Status.Image // the operator's default may be another major by now
	}
	if text := a.component.Settings.Text("instances"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return recovery.Errorf("write it like `instances: 1`", "the component %s: `instances` cannot be %q", a.component.Name, text).WithExit(recovery.Usage)
		}
		f.Shape.Instances = n
	}
	f.Behind = recovery.Duration(behind(spec))
	if f.Shape.Origin == nil {
		return nil
	}
	now := a.survey.At.UTC()
	switch archiving := is(a.source.Status.Conditions, "ContinuousArchiving"); {
	case f.Behind == 0, archiving == nil:
	case archiving.Status == "True":
		f.Moves, a.end = true, now.Add(-time.Duration(f.Behind))
	default:
		a.end = archiving.Since.UTC().Add(-time.Duration(f.Behind))
	}
	return nil
}

// archive tells what is wrong with the source's archiving.
func (a *asked) archive() {
	tell := func(says, do string) {
		a.survey.Findings = append(a.survey.Findings, recovery.Finding{Object: a.facts.Source, Says: says, Do: do})
	}
	st := a.source.Status
	switch archiving := is(st.Conditions, "ContinuousArchiving"); {
	case a.facts.Shape.Origin == nil:
		tell("its log is archived nowhere: only the moments of its backups can be restored", "give the cluster a store for its log")
	case archiving == nil:
		tell("it does not say whether its log is archived", "look at it with `kubectl cnpg status`")
	case archiving.Status != "True":
		tell(fmt.Sprintf("archiving of its log fails since %s: %s", provider.When(archiving.Since), archiving.Message), "mend it: what is not archived cannot be restored")
	}
	if st.LastFailed > st.LastSuccessful {
		tell("its last backup has failed, at "+st.LastFailed, "look at the Backup with kubectl")
	}
}

// schedules tells where no backup will be taken. That they cannot be read takes nothing from
// the survey.
func (a *asked) schedules(ctx context.Context) {
	all, err := list[scheduled](ctx, a.kube, cnpgAPI, "scheduledbackups", nil)
	if err != nil {
		a.survey.Findings = append(a.survey.Findings, recovery.Finding{Object: a.facts.Source, Says: "its schedules could not be read: " + err.Error(), Do: cmp.Or(recovery.HintOf(err), "ask again, or look with kubectl get scheduledbackups")})
		return
	}
	active := false
	for _, s := range all {
		if s.Spec.Cluster.Name != a.facts.Source {
			continue
		}
		if active = active || !s.Spec.Suspend; s.Spec.Suspend {
			a.survey.Findings = append(a.survey.Findings, recovery.Finding{Object: s.Metadata.Name, Says: "the schedule is suspended", Do: "resume it if nobody needs that any more"})
		}
	}
	if !active {
		a.survey.Findings = append(a.survey.Findings, recovery.Finding{Object: a.facts.Source, Says: "nothing takes backups of it by itself", Do: "make a ScheduledBackup of it"})
	}
}

// backup adds one, with the window of the log behind it.
func (a *asked) backup(b backup) {
	f, st := a.facts, b.Status
	f.Backup, f.ID = b.Metadata.Name, st.ID
	method := cmp.Or(st.Method, b.Spec.Method, byStore)
	r := recovery.Backup{ID: f.Backup, Component: a.survey.Component, Copy: a.survey.Copy, Engine: Name, Form: forms[method], Elsewhere: true,
		Details: map[string]string{"cluster": f.Source, "method": method, "restored as": f.Shape.says()}}
	for name, v := range map[string]string{"backup id": st.ID, "begin LSN": st.BeginLSN, "end LSN": st.EndLSN} {
		if v != "" {
			r.Details[name] = v
		}
	}
	if r.Form == "" {
		r.Form = "backup of CloudNativePG"
	}
	if st.Started != nil {
		r.Taken = recovery.Span{From: st.Started.UTC(), To: st.Started.UTC()}
	}
	if st.Stopped != nil {
		// It is told in whole seconds: by the next one it has ended.
		r.Taken.To = st.Stopped.UTC().Add(time.Second)
	}
	began := cmp.Or(r.Taken.From, r.Taken.To)
	if f.Earlier = !began.IsZero() && began.Before(a.source.Metadata.Created); f.Earlier {
		f.System = ""
		r.Details["cluster"] += ", an earlier one"
	}
	stop, err := recovery.ParseLSN(st.EndLSN)
	if err == nil {
		r.Stop = stop
	}
	if f.Shape.Origin != nil && st.Server != "" {
		f.Shape.Origin = named(f.Shape.Origin, st.Server)
	}
	if method == bySnapshot {
		f.Snapshots = st.Snapshots.Elements
	}
	older := st.Major != 0 && a.major() != 0 && st.Major != a.major()
	why := ""
	if older {
		why = f.older(a.major(), st.Major, a.component.Settings.Text("image"))
	}
	r.Details["restored as"] = f.Shape.says()
	if r.Problem = a.problem(b, method, f); r.Problem == "" {
		r.Problem = why
	}
	// Where the log of an earlier major version ended is not known.
	if r.Problem == "" && !f.Earlier && !older && !a.end.IsZero() && a.end.After(r.Taken.To) {
		f.Window = true
		a.survey.Windows = append(a.survey.Windows, recovery.Window{Component: r.Component, Copy: r.Copy, Engine: Name, Backup: r.ID,
			From: recovery.Instant{Time: r.Taken.To, LSN: r.Stop}, To: recovery.Instant{Time: a.end}, Final: !f.Moves})
	}
	r.Facts = provider.Encode(f)
	a.survey.Backups = append(a.survey.Backups, r)
}

// major is the major version of the source, as far as anything tells it; 0 is not known.
func (a *asked) major() int {
	if n := a.source.Status.Data.Major; n != 0 {
		return n
	}
	if n, ok := at(a.facts.Shape.Spec, "imageCatalogRef")["major"].(float64); ok {
		return int(n)
	}
	return majorOf(text(a.facts.Shape.Spec, "imageName"))
}

// tagged is the version in the tag of an image.
var tagged = pattern.New(`:(\d+)(?:[.\-]|$)`)

// majorOf is the major version of an image, by its tag; 0 is not known.
func majorOf(image string) int {
	image, _, _ = strings.Cut(image, "@")
	m := tagged.FindStringSubmatch(image[strings.LastIndexByte(image, '/')+1:])
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1]) // too long is no version
	return n
}

// older gives a backup of another major version than the source's the image that the runbook
// has for it, and says why it cannot be restored where that has none: the image of today
// does not start on its data.
func (f *facts) older(major, of int, image string) (problem string) {
	if n := majorOf(image); image == "" || n != 0 && n != of {
		return fmt.Sprintf("it is of PostgreSQL %d, and the source is of %d by now: write `image:` of PostgreSQL %d into the component", of, major, of)
	}
	f.Shape.Spec = maps.Clone(f.Shape.Spec)
	delete(f.Shape.Spec, "imageCatalogRef")
	f.Shape.Spec["imageName"] = image
	return ""
}

// forms are the methods in words.
var forms = map[string]string{byStore: "base backup of CloudNativePG, with its log", bySnapshot: "volume snapshots of CloudNativePG", "plugin": "base backup of a plugin of CloudNativePG, with its log"}

// problem says why a backup cannot be restored.
func (a *asked) problem(b backup, method string, f facts) string {
	st := b.Status
	first, known := a.source.Status.FirstByMethod[method]
	if !known && method == byStore {
		first, _ = time.Parse(time.RFC3339, a.source.Status.First)
	}
	switch {
	case st.Phase == "failed", st.Phase == "walArchivingFailing":
		return cmp.Or("it has failed: "+st.Error, "it has failed")
	case st.Phase != "completed":
		return "it is " + cmp.Or(st.Phase, "not begun")
	case st.Stopped == nil:
		return "it does not say when it ended"
	case method == bySnapshot && !slices.ContainsFunc(f.Snapshots, func(s snapshot) bool { return s.Type == "PG_DATA" }):
		return "it names no snapshot of the data"
	case method != bySnapshot && f.ID == "":
		return "it does not say which backup it is in the store"
	case f.Shape.Spec == nil:
		return "nothing says how a cluster for it is made: `manifest:` of the component"
	case method != bySnapshot && f.Shape.Origin == nil:
		return "nothing says where its store is: the cluster has none any more"
	case method == byStore && !f.Earlier && !first.IsZero() && st.Stopped.Before(first):
		return "it is from before " + provider.When(first) + ", the first moment that the store still has"
	}
	return ""
}

// named is an origin whose archive has another name.
func named(origin map[string]any, server string) map[string]any {
	b, err := json.Marshal(origin)
	var own map[string]any
	if err = errors.Join(err, json.Unmarshal(b, &own)); err != nil {
		panic("cnpg: origin: " + err.Error()) // it came from JSON
	}
	if store := at(own, byStore); store != nil {
		store["serverName"] = server
	} else if parameters := at(at(own, "plugin"), "parameters"); parameters != nil {
		parameters["serverName"] = server
	}
	return own
}
