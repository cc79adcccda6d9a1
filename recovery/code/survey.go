package code

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"comeback/recovery"
	"comeback/storage"
)

// facts are what a survey keeps of a bundle.
type facts struct {
	// Deploys are those that the record, or the bundle's own tags, tell; Recorded says that
	// it is a record.
	Deploys  []Deploy `json:"deploys,omitempty"`
	Recorded bool     `json:"recorded,omitempty"`
	// Head is what the bundle's HEAD stands for.
	Head string `json:"head,omitempty"`
	// Deploy is the chosen one, Others the bundles to look in after this one.
	Deploy Deploy           `json:"deploy,omitzero"`
	Others []storage.Object `json:"others,omitempty"`
}

// remoteID stands for the remote where a copy holds no bundle.
const remoteID = "remote"

// recordName is the base name of a deploy record.
const recordName = "deploys"

// Survey lists the bundles that a copy holds for a component, each with the
// deploys that are recorded.
func (e engine) Survey(ctx context.Context, c recovery.Component, copy recovery.Copy, store storage.Store) (recovery.Survey, error) {
	s := recovery.Survey{Component: c.Name, Copy: copy.Name, Engine: Name, At: e.Now()}
	var bundles []storage.Object
	var deploys []Deploy
	recorded := false
	for o, err := range store.List(ctx, c.Settings.Text("prefix")) {
		if err != nil {
			return s, fmt.Errorf("survey copy %s: %w", copy.Name, err)
		}
		switch base := path.Base(o.Key); {
		case strings.HasSuffix(base, ".bundle"):
			bundles = append(bundles, o)
		case strings.TrimSuffix(base, path.Ext(base)) == recordName && o.Size > 0:
			found, finding, err := lookAtRecord(ctx, store, o)
			if err != nil {
				return s, fmt.Errorf("survey copy %s: %w", copy.Name, err)
			}
			if finding != "" {
				s.Findings = append(s.Findings, recovery.Finding{Object: o.Key, Says: finding, Do: "correct what appends to it: TIME COMMIT, one line for each deploy"})
				continue
			}
			recorded = true
			deploys = append(deploys, found...)
		}
	}
	slices.SortStableFunc(deploys, func(a, b Deploy) int { return a.At.Compare(b.At) })
	for _, o := range bundles {
		b, ok, err := lookAtBundle(ctx, store, s, o, deploys, recorded)
		if err != nil {
			return s, fmt.Errorf("survey copy %s: %w", copy.Name, err)
		}
		if !ok {
			s.Findings = append(s.Findings, recovery.Finding{Object: o.Key, Says: "is not a git bundle, though its name is like one's",
				Do: "make it with git bundle create, or give it another name"})
			continue
		}
		s.Backups = append(s.Backups, b)
	}
	if c.Settings.Text("remote") != "" && len(bundles) == 0 && len(deploys) > 0 {
		s.Backups = append(s.Backups, recovery.Backup{ID: remoteID, Component: c.Name, Copy: copy.Name, Engine: Name, Form: "git remote, which is no copy", Elsewhere: true,
			Taken: recovery.Span{From: deploys[len(deploys)-1].At, To: deploys[len(deploys)-1].At}, Facts: encode(facts{Deploys: deploys}),
			Details: map[string]string{"deploys": strconv.Itoa(len(deploys))}})
		s.Findings = append(s.Findings, recovery.Finding{Object: remoteID, Says: "the commits are in the remote only", Do: "store bundles: comeback backup takes them"})
	}
	slices.SortFunc(s.Backups, func(a, b recovery.Backup) int {
		return cmp.Or(a.Taken.To.Compare(b.Taken.To), cmp.Compare(a.ID, b.ID))
	})
	return s, nil
}

func lookAtRecord(ctx context.Context, store storage.Store, o storage.Object) (deploys []Deploy, finding string, err error) {
	in := storage.NewReader(ctx, store, o, storage.ReadOptions{Attempts: 3})
	defer in.Close()
	deploys, err = readDeploys(in, o.Key)
	var stored *storage.Error
	switch {
	case err == nil:
		return deploys, "", nil
	case ctx.Err() != nil, errors.As(err, &stored):
		return nil, "", err
	}
	return nil, "is not a deploy record: " + err.Error(), nil
}

// lookAtBundle reads a bundle's head; ok is false for what is none.
func lookAtBundle(ctx context.Context, store storage.Store, s recovery.Survey, o storage.Object, deploys []Deploy, recorded bool) (b recovery.Backup, ok bool, err error) {
	in := storage.NewReader(ctx, store, o, storage.ReadOptions{Attempts: 3})
	defer in.Close()
	b = recovery.Backup{ID: o.Key, Component: s.Component, Copy: s.Copy, Engine: Name, Form: "git bundle", Objects: []storage.Object{o},
		Taken: recovery.Span{To: o.Modified.UTC()}.NarrowedByName(path.Base(o.Key)), Details: map[string]string{}}
	b.Taken.To = o.Modified.UTC()
	refs, needs, err := readBundle(in)
	switch {
	case errors.Is(err, errNoBundle):
		return b, false, nil
	case errors.Is(err, storage.ErrCorrupt), errors.Is(err, storage.ErrNotExist), errors.Is(err, storage.ErrChanged), errors.Is(err, storage.ErrArchived):
		b.Problem, err = err.Error(), nil
	case err != nil:
		return b, false, err
	case len(needs) > 0:
		b.Problem = fmt.Sprintf("it builds on %d commits that are not in it, %s is one", len(needs), needs[0])
	}
	f := facts{Deploys: deploys, Recorded: recorded}
	if !recorded {
		f.Deploys = taggedDeploys(refs, o.Key)
	}
	for _, r := range refs {
		if r.name == "HEAD" {
			f.Head = r.commit
		}
	}
	b.Details["refs"], b.Details["deploys"] = strconv.Itoa(len(refs)), strconv.Itoa(len(f.Deploys))
	b.Facts = encode(f)
	return b, true, err
}

func encode(f facts) json.RawMessage {
	b, err := json.Marshal(f)
	if err != nil {
		panic("code: marshal what a bundle tells: " + err.Error()) // strings and times
	}
	return b
}

func factsOf(b recovery.Backup) (facts, error) {
	var f facts
	if err := json.Unmarshal(b.Facts, &f); err != nil {
		return f, recovery.Errorf("survey the copy again", "read what the survey says of %s: %w", b.ID, err)
	}
	return f, nil
}
