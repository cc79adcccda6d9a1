package code

import (
	"fmt"
	"slices"

	"comeback/recovery"
	"comeback/storage"
)

// args are what a checkout is told.
type args struct {
	Component string            `json:"component"`
	Copy      string            `json:"copy"`
	Target    recovery.TargetID `json:"target"`
	Deploy    Deploy            `json:"deploy"`
	// Bundles are tried in this order.
	Bundles []storage.Object `json:"bundles"`
	Signers string           `json:"signers,omitempty"`
	// Remote is asked when no bundle holds the commit; it may have references.
	Remote string `json:"remote,omitempty"`
	// Without are paths whose content lies in other repositories, or in git LFS.
	Without []string `json:"without,omitempty"`
}

// Plan is one step.
func (e engine) Plan(c recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	if !t.Scratch {
		return nil, recovery.Errorf("restore into scratch", "code is checked out into scratch only, and %s is live", t.ID).WithExit(recovery.Refused)
	}
	f, err := factsOf(p.Backup)
	if err != nil {
		return nil, err
	}
	if !hash.MatchString(f.Deploy.Commit) {
		return nil, recovery.Errorf("survey the copy again", "plan the checkout of %s: %.80q is no commit", c.Name, f.Deploy.Commit)
	}
	a := args{Component: c.Name, Copy: p.Copy, Target: t.ID, Deploy: f.Deploy, Bundles: append(slices.Clone(p.Backup.Objects), f.Others...),
		Signers: c.Settings.Text("signers"), Remote: c.Settings.Text("remote"), Without: c.Settings["without"]}
	s := recovery.NewStep("checkout", checkoutKind{}.Name(), fmt.Sprintf("check out %.12s from %s", f.Deploy.Commit, p.Backup.ID), a)
	for _, o := range a.Bundles {
		s.Reads = append(s.Reads, recovery.Ref{Copy: p.Copy, Key: o.Key, Size: o.Size})
	}
	s.Component, s.Writes = c.Name, []recovery.TargetID{t.ID}
	// The bundle, its objects and the files, which may be some times as large.
	s.Guards = []recovery.Guard{{Kind: recovery.GuardRoom, Target: t.ID, Bytes: max(p.Backup.Size()*5, 1<<20)}}
	return []recovery.Step{s}, nil
}
