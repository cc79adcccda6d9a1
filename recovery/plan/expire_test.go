package plan_test

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/plan"
)

// removes is the switcher of components of a kind whose old data can be removed.
type removes struct{ phases }

func (r removes) Expire(c recovery.SwitchContext, old recovery.Old) (recovery.Target, []recovery.Step, error) {
	t := recovery.Target{ID: recovery.TargetID("old/" + old.Place), Component: c.Component.Name, Place: old.Place, Name: old.Place}
	return t, []recovery.Step{{ID: "expire", Kind: "removed", Writes: []recovery.TargetID{t.ID}}}, nil
}

// An expiry asks for the name of each thing that it removes, and says of each what is true of
// it: nothing of it is live, and only what was put aside ever was.
func TestExpire(t *testing.T) {
	parent := &recovery.Plan{Format: plan.Format, Run: "7c31", System: "shop", Mode: recovery.Recovery,
		Components: []recovery.Component{{Name: "database", Kind: recovery.Postgres}, {Name: "uploads", Kind: recovery.Files}, {Name: "config", Kind: recovery.Files}}}
	aside := recovery.Old{Component: "uploads", Place: "/srv/uploads.old-7c31", Says: "a directory beside the live one"}
	tree := recovery.HandedOver{Component: "config", Tree: "/x/comeback-7c31.config/config", Place: "/x/comeback-7c31.config"}.Old()
	server := recovery.HandedOver{Component: "database", Address: "postgres://x", Place: "/x/comeback-7c31.database"}.Old()
	for name, c := range map[string]struct {
		old             []recovery.Old
		confirm, does   string
		removed, undone []string
		live            string
	}{
		"put aside": {[]recovery.Old{aside}, "/srv/uploads.old-7c31", "removes /srv/uploads.old-7c31 for good",
			[]string{"/srv/uploads.old-7c31: put aside by run 7c31, live until then"}, []string{"/srv/uploads.old-7c31: nothing brings it back"},
			"as run 7c31 left it; what was put aside is removed"},
		"beside": {[]recovery.Old{tree, server}, "/x/comeback-7c31.config, /x/comeback-7c31.database", "removes /x/comeback-7c31.config, /x/comeback-7c31.database for good",
			[]string{"/x/comeback-7c31.config: restored by run 7c31 and left beside live", "/x/comeback-7c31.database: restored by run 7c31 and left running beside live"},
			[]string{"/x/comeback-7c31.config: what was written to it since is nowhere else", "/x/comeback-7c31.database: what was written to it since is nowhere else"},
			"untouched; what was left beside it is removed"},
		"both": {[]recovery.Old{aside, tree}, "/srv/uploads.old-7c31, /x/comeback-7c31.config", "removes /srv/uploads.old-7c31, /x/comeback-7c31.config for good",
			[]string{"/srv/uploads.old-7c31: put aside by run 7c31, live until then", "/x/comeback-7c31.config: restored by run 7c31 and left beside live"},
			[]string{"/srv/uploads.old-7c31: nothing brings it back", "/x/comeback-7c31.config: what was written to it since is nowhere else"},
			"as run 7c31 left it; what was put aside, and what was left beside it, is removed"},
	} {
		p, err := plan.Expire(plan.ExpireOptions{Parent: parent, Old: c.old, Options: plan.Options{Run: "8d42", Number: 2,
			Switchers: []recovery.Switcher{removes{phases{kind: recovery.Postgres}}, removes{phases{kind: recovery.Files}}}}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		e := p.Effects()
		if p.Confirm != c.confirm || p.Does() != c.does || strings.Join(e.Gone, "\n") != strings.Join(c.removed, "\n") || strings.Join(e.NotUndone, "\n") != strings.Join(c.undone, "\n") {
			t.Errorf("%s: it asks for %s and %s: %+v", name, p.Confirm, p.Does(), e)
		}
		s := recovery.NewState(p)
		if told := s.Gone(); strings.Join(told, "\n") != strings.Join(c.removed, "\n") {
			t.Errorf("%s: before that it tells %q", name, told)
		}
		s.Steps[0].State = recovery.Running
		if live := s.LiveSays(time.UTC); live != c.live {
			t.Errorf("%s: live is %s", name, live)
		}
	}
}
