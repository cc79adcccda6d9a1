package rds

import (
	"cmp"
	"fmt"
	"time"

	"comeback/pattern"
	"comeback/recovery"
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
	if !t.Scratch {
		return nil, refused("restore into scratch", "RDS restores into what is new only, and %s is live", t.ID)
	}
	facts := p.Facts
	if len(facts) == 0 {
		facts = p.Backup.Facts
	}
	f, err := decodeFacts(facts, p.Backup.ID)
	if err != nil {
		return nil, err
	}
	a := args{Component: c.Name, Target: t.ID, Facts: f, Taken: p.Backup.Taken, Exactness: p.Exactness}
	if f.Snapshot == "" {
		a.Taken = recovery.Span{From: f.To, To: f.To}
	}
	every, err := interval(c)
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
	var steps []recovery.Step
	add := func(id string, kind recovery.Kind, member bool, format string, words ...any) {
		a.Member = member
		s := recovery.NewStep(id, kind.Name(), fmt.Sprintf(format, words...), a)
		s.Component, s.Writes = c.Name, []recovery.TargetID{t.ID}
		if len(steps) > 0 {
			s.After = []string{steps[len(steps)-1].ID}
		}
		steps = append(steps, s)
	}
	of := "at " + when(f.To)
	if f.Snapshot != "" {
		of = "from the snapshot " + f.Snapshot
	}
	add("restore", restoreKind{}, false, "ask RDS for a new %s, %s %s, which costs %s", f.what(), f.Source, of, f.price())
	steps[0].Reads = []recovery.Ref{{Copy: p.Copy, Key: p.Backup.ID, Size: p.Backup.Size()}}
	add("available", availableKind{}, false, "wait until the new %s is available", f.what())
	if f.Cluster && f.Shape.ClusterClass == "" {
		add("instance", memberKind{}, true, "ask RDS for its instance, %s", cmp.Or(f.Shape.Class, "of a class that is not known"))
		add("instance-available", availableKind{}, true, "wait until the instance is available")
	}
	add("serve", serveKind{}, false, "sign on to the new %s", f.what())
	return steps, nil
}

// interval is how often the service is asked.
func interval(c recovery.Component) (time.Duration, error) {
	text := c.Settings.Text("every")
	if text == "" {
		return pause, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, recovery.Errorf("write it like `every: 15s`", "the component %s: `every` cannot be %q", c.Name, text).WithExit(recovery.Usage)
	}
	return d, nil
}
