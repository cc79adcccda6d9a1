package rds

import (
	"cmp"
	"fmt"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/provider"
)

// args are what the steps of a restore are told.
type args struct {
	Component string             `json:"component"`
	Target    recovery.TargetID  `json:"target"`
	Facts     facts              `json:"facts"`
	Taken     recovery.Span      `json:"taken"`
	Exactness recovery.Exactness `json:"exactness"`
	Every     recovery.Duration  `json:"every"`
	// Member says that a step is about the instance of a cluster.
	Member bool  `json:"member,omitempty"`
	Login  login `json:"login"`
}

// login is how checks sign on; the password is a reference.
type login struct {
	User     string `json:"user"`
	Password string `json:"password,omitempty"`
	Database string `json:"database"`
	CA       string `json:"ca,omitempty"`
}

// reference is one of the runbook's, and nothing else.
var reference = pattern.New(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`)

// loginOf is how a component signs on, as whom and to what where it does not say so.
func loginOf(c recovery.Component, user, database string) (login, error) {
	l := login{User: cmp.Or(c.Settings.Text("user"), user), Password: c.Settings.Text("password"), Database: cmp.Or(c.Settings.Text("database"), database), CA: c.Settings.Text("ca")}
	if l.Password != "" && !reference.MatchString(l.Password) {
		return l, recovery.Errorf("write `password: \"${NAME}\"`, and the name under needs:", "the component %s: its password is no reference, and would be recorded", c.Name).WithExit(recovery.Usage)
	}
	return l, nil
}

// Plan asks for an instance, waits until it is available and signs on; of a cluster
// both are done, the cluster first.
func (e engine) Plan(c recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	chain, err := provider.NewChain("RDS", "that of its VPC in AWS", c, t)
	if err != nil {
		return nil, err
	}
	f, err := provider.FactsOf[facts](p)
	if err != nil {
		return nil, err
	}
	a := args{Component: c.Name, Target: t.ID, Facts: f, Taken: p.Backup.Taken, Exactness: p.Exactness}
	if f.Snapshot == "" {
		a.Taken = recovery.Span{From: f.To, To: f.To}
	}
	every, err := provider.Interval(c, pause)
	if err != nil {
		return nil, err
	}
	a.Every = recovery.Duration(every)
	if a.Login, err = loginOf(c, f.Shape.User, f.Shape.Database); err != nil {
		return nil, err
	}
	if a.Login.Database == "" || a.Login.User == "" {
		return nil, recovery.Errorf("write `database: NAME` and `user: NAME` into the component", "RDS does not say which database of %s checks look at, or as whom", f.Source).WithExit(recovery.Usage)
	}
	of := "at " + provider.When(f.To)
	if f.Snapshot != "" {
		of = "from the snapshot " + f.Snapshot
	}
	chain.Add("restore", restoreKind{}, a, fmt.Sprintf("ask RDS for a new %s, %s %s, which costs %s", f.what(), f.Source, of, f.price()),
		recovery.Ref{Copy: p.Copy, Key: p.Backup.ID, Size: p.Backup.Size()})
	chain.Add("available", availableKind{}, a, fmt.Sprintf("wait until the new %s is available", f.what()))
	if f.Cluster && f.Shape.ClusterClass == "" {
		member := a
		member.Member = true
		chain.Add("instance", memberKind{}, member, "ask RDS for its instance, "+cmp.Or(f.Shape.Class, "of a class that is not known"))
		chain.Add("instance-available", availableKind{}, member, "wait until the instance is available")
	}
	chain.Add("serve", serveKind{}, a, fmt.Sprintf("sign on to the new %s", f.what()))
	return chain.Steps(), nil
}
