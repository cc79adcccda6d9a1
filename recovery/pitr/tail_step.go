package pitr

import (
	"context"
	"fmt"
	"path/filepath"

	"comeback/recovery"
	"comeback/storage"
)

const tailName = "pitr.tail"

// tailArgs are the arguments of a pitr.tail step.
type tailArgs struct {
	Component recovery.Component `json:"component"`
	Copy      string             `json:"copy"`
	Dir       string             `json:"dir"`
}

var _ recovery.TailSaver = nativeEngine{}

// PlanTail makes the step that saves what a server had not archived.
func (e nativeEngine) PlanTail(c recovery.Component, copy, dir string) (recovery.Step, error) {
	if !filepath.IsAbs(dir) {
		return recovery.Step{}, recovery.Errorf("give the whole path of the server's pg_wal", "%q is not an absolute path", dir).WithExit(recovery.Usage)
	}
	c.Settings = recovery.Settings{"prefix": c.Settings["prefix"], "wal": c.Settings["wal"], "backups": c.Settings["backups"]}
	s := recovery.NewStep("tail", tailName, "save what the server had not archived into "+copy, tailArgs{Component: c, Copy: copy, Dir: dir})
	s.Component = c.Name
	return s, nil
}

// tailKind saves the rest of a dead server's log into a copy. An interruption
// leaves whole objects, which the next attempt finds there.
type tailKind struct{ nativeEngine }

func (tailKind) Name() string              { return tailName }
func (tailKind) Restart() recovery.Restart { return recovery.Repeat }

func (k tailKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var args tailArgs
	if err := s.Decode(&args); err != nil {
		return recovery.Outcome{}, err
	}
	store, err := env.Store(ctx, args.Copy)
	if err != nil {
		return recovery.Outcome{}, err
	}
	m := env.Meter()
	begun := false
	t, err := k.SaveTail(ctx, recovery.TailOptions{Component: args.Component, Copy: args.Copy, Store: storage.Current(store), Dir: args.Dir,
		Progress: func(done, total int64) {
			if !begun {
				m.Phase("save the rest of the log", total, recovery.InBytes)
				begun = true
			}
			m.Set(done)
		}})
	if err != nil {
		return recovery.Outcome{}, err
	}
	for _, key := range t.Saved {
		m.Log("comeback: saved " + key)
	}
	return recovery.Outcome{Says: t.Says(), Facts: map[string]string{
		recovery.SystemIdentifier: t.System, "timeline": fmt.Sprint(t.Timeline), "end of the log": t.End.String(),
		"saved": fmt.Sprint(len(t.Saved)), "already in the copy": fmt.Sprint(t.There)}}, nil
}
