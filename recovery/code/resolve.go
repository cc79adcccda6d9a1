package code

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// Resolve finds the commit that was live at a moment: that of the last deploy
// before it. Which bundle holds it shows when it is unpacked; the first that was
// stored after the deploy is tried first.
func (e engine) Resolve(_ context.Context, s recovery.Survey, want recovery.Want, _ storage.Store) (recovery.Point, error) {
	var usable []recovery.Backup
	for _, b := range s.Backups {
		if b.Problem == "" {
			usable = append(usable, b)
		}
	}
	if len(usable) == 0 {
		return recovery.Point{}, none(s)
	}
	switch want.Kind {
	case recovery.WantBackup:
		return byBundle(s, usable, func(b recovery.Backup) bool {
			return b.ID == want.Backup || strings.HasSuffix(b.ID, "/"+want.Backup)
		}, want)
	case recovery.WantLatest, recovery.WantTime:
	default:
		return recovery.Point{}, refusal(`use "latest" or a time with its offset`, "a repository has no positions in a database's log, so %s cannot be reached", want.Text)
	}
	deploys, err := deploysOf(usable)
	if err != nil {
		return recovery.Point{}, err
	}
	if len(deploys) == 0 {
		return byBundle(s, usable, func(b recovery.Backup) bool {
			return want.Kind == recovery.WantLatest || !b.Taken.To.After(want.Time)
		}, want)
	}
	before := deploys
	if want.Kind == recovery.WantTime {
		n, _ := slices.BinarySearchFunc(deploys, want.Time, func(d Deploy, t time.Time) int {
			if d.At.After(t) {
				return 1
			}
			return -1
		})
		before = deploys[:n]
	}
	if len(before) == 0 {
		return recovery.Point{}, refusal("choose a later time", "nothing was deployed before %s: the first deploy that is recorded was at %s",
			want.Text, deploys[0].At.Format(time.RFC3339))
	}
	last := before[len(before)-1]
	p := point(s, usable, last)
	p.Warnings, err = contradicted(usable, last, want)
	return p, err
}

// contradicted says that the newest bundle which was stored after the last deploy of a record,
// and not after the moment, has another HEAD: what appends to the record may have stopped. A
// tag of a deploy is not compared: an annotated one is no commit itself.
func contradicted(usable []recovery.Backup, d Deploy, want recovery.Want) (says []string, err error) {
	for _, b := range slices.Backward(usable) {
		if want.Kind == recovery.WantTime && b.Taken.To.After(want.Time) {
			continue
		}
		f, err := factsOf(b)
		if err != nil || !b.Taken.To.After(d.At) || !f.Recorded {
			return nil, err
		}
		switch f.Head {
		case "":
			continue
		case d.Commit:
			return nil, nil
		}
		return []string{fmt.Sprintf("the last deploy that is recorded, %s, is of commit %.12s, and %s, stored %s, has HEAD at commit %.12s: if that one was live, what appends to the record has stopped; append its deploy, or name the bundle",
			d.At.UTC().Format(time.RFC3339), d.Commit, b.ID, b.Taken.Says(), f.Head)}, nil
	}
	return nil, nil
}

// deploysOf gathers the deploys of all bundles; those of a record are the same in
// each.
func deploysOf(usable []recovery.Backup) ([]Deploy, error) {
	var all []Deploy
	for _, b := range usable {
		f, err := factsOf(b)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Deploys {
			if !slices.ContainsFunc(all, func(o Deploy) bool { return o.At.Equal(d.At) && o.Commit == d.Commit }) {
				all = append(all, d)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Deploy) int { return a.At.Compare(b.At) })
	return all, nil
}

// point is a deploy as a moment.
func point(s recovery.Survey, usable []recovery.Backup, d Deploy) recovery.Point {
	after := slices.IndexFunc(usable, func(b recovery.Backup) bool { return !b.Taken.To.Before(d.At) })
	if after < 0 {
		after = len(usable)
	}
	// Stored after the deploy, the earliest first; then before it, the latest first.
	order := slices.Clone(usable[after:])
	for _, b := range slices.Backward(usable[:after]) {
		order = append(order, b)
	}
	b := order[0]
	f := facts{Deploy: d}
	for _, other := range order[1:] {
		f.Others = append(f.Others, other.Objects...)
	}
	b.Facts = encode(f)
	return recovery.Point{Component: s.Component, Copy: s.Copy, Engine: Name, Backup: b, Exactness: recovery.ToCommit, Time: d.At, Bytes: b.Size(),
		Says: fmt.Sprintf("commit %.12s, deployed %s (%s)", d.Commit, d.At.UTC().Format("2006-01-02 15:04:05 MST"), d.By)}
}

// byBundle is the newest bundle that fits, by its own HEAD: where no deploy is
// recorded nothing better is known.
func byBundle(s recovery.Survey, usable []recovery.Backup, fits func(recovery.Backup) bool, want recovery.Want) (recovery.Point, error) {
	for _, b := range slices.Backward(usable) {
		if !fits(b) {
			continue
		}
		f, err := factsOf(b)
		if err != nil {
			return recovery.Point{}, err
		}
		if f.Head == "" {
			return recovery.Point{}, refusal("write the bundle with --all and HEAD, or keep a deploy record beside it", "%s does not say what its HEAD is", b.ID)
		}
		b.Facts = encode(facts{Deploy: Deploy{At: b.Taken.To, Commit: f.Head, By: "HEAD of " + b.ID}})
		return recovery.Point{Component: s.Component, Copy: s.Copy, Engine: Name, Backup: b, Exactness: recovery.ToBackup, Time: b.Taken.To, Bytes: b.Size(),
			Says:     fmt.Sprintf("HEAD of %s, commit %.12s, stored %s", b.ID, f.Head, b.Taken.Says()),
			Warnings: []string{"no deploy is recorded: that this commit was live is not known"}}, nil
	}
	return recovery.Point{}, refusal("choose a later time, or a bundle by its name", "no bundle of %s in %s is from before %s", s.Component, s.Copy, want.Text)
}

func none(s recovery.Survey) error {
	for _, b := range slices.Backward(s.Backups) {
		return refusal("write whole bundles: git bundle create FILE --all", "none of the %d bundles of %s in %s can be used; of the newest, %s: %s",
			len(s.Backups), s.Component, s.Copy, b.ID, b.Problem)
	}
	return refusal("check that bundles are written, and that prefix in the runbook is right", "there is no bundle of %s in %s", s.Component, s.Copy)
}

func refusal(hint, format string, args ...any) error {
	return recovery.Errorf(hint, format, args...).WithExit(recovery.Refused)
}
