package trees

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"comeback/recovery"
	"comeback/recovery/exchange"
)

type switcher struct{}

// New makes the switcher of files components.
func New() recovery.Switcher { return switcher{} }

// Kind is recovery.Files.
func (switcher) Kind() recovery.ComponentKind { return recovery.Files }

// Keys are what a component says about its live target, beside its path.
func (switcher) Keys() []recovery.Key {
	return []recovery.Key{{Name: "keep", Doc: "how long what was live stays beside after a switch; 7d if not set", Example: "7d"}}
}

// Look reads which directory is live.
func (s switcher) Look(_ context.Context, c recovery.Component, _ []recovery.Copy, expand func(string) (string, error)) (recovery.Live, error) {
	l, err := s.Foresee(c, expand)
	if err != nil {
		return recovery.Live{}, err
	}
	if err := exchange.Try(l.Beside); err != nil {
		return recovery.Live{}, err
	}
	return l, nil
}

// Foresee is Look without trying whether the file system can exchange names.
func (switcher) Foresee(c recovery.Component, expand func(string) (string, error)) (recovery.Live, error) {
	path, err := expand(c.Settings.Text("path"))
	if err != nil {
		return recovery.Live{}, err
	}
	if !filepath.IsAbs(path) {
		return recovery.Live{}, c.Unplaced("path")
	}
	path = filepath.Clean(path)
	id, err := identify(path)
	if err != nil {
		return recovery.Live{}, err
	}
	if err := whole(path); err != nil {
		return recovery.Live{}, err
	}
	standing := id["inode"]
	if at := (exchange.Identity{}); at.UnmarshalText([]byte(standing)) == nil {
		standing = at.String()
	}
	return recovery.Live{
		Component: c.Name, At: time.Now().UTC(), Beside: filepath.Dir(path),
		Effects: recovery.Effects{Target: []string{fmt.Sprintf("%s, %s, %s", id["host"], path, standing)}},
		Target: recovery.Target{ID: recovery.TargetID("live/" + c.Name), Component: c.Name, Switches: recovery.Files,
			Place: path, Name: id["host"] + ":" + path, Identity: id},
	}, nil
}

// whole refuses what could not be exchanged as a whole, and says what else can be done.
func whole(path string) error {
	err := exchange.Whole(path)
	if err == nil || recovery.ExitOf(err) != recovery.Refused {
		return err
	}
	return recovery.Errorf(recovery.HintOf(err)+"; or leave the component out of the `switch:`: a recovery then leaves the restored tree in a directory of its own, and people copy from it what they need",
		"%w", err).WithExit(recovery.Refused)
}

// Identify reads anew which directory stands at the live path.
func (switcher) Identify(_ context.Context, t recovery.Target, _ func(string) (string, error)) (recovery.Identity, error) {
	return identify(t.Place)
}

// nothing is the inode of a path at which there is nothing.
const nothing = "nothing there"

func identify(path string) (recovery.Identity, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("read this machine's name: %w", err)
	}
	id, inode := exchange.Identity{}, nothing
	if info, err := os.Lstat(path); err == nil && !info.IsDir() {
		return nil, noDirectory(path, info)
	}
	if id, err = exchange.Standing(path); err == nil && id != (exchange.Identity{}) {
		inode = id.String()
		if text, err := id.MarshalText(); err == nil {
			inode = string(text)
		}
	} else if err != nil {
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	return recovery.Identity{"host": host, "directory": path, "inode": inode}, nil
}

// noDirectory refuses what is something else, or only leads to one.
func noDirectory(path string, info fs.FileInfo) error {
	hint, but := "name the directory itself", ""
	if info.Mode().Type() == fs.ModeSymlink {
		if to, err := os.Readlink(path); err == nil {
			hint, but = "name the place that it leads to as the component's `path:`, so that everybody knows what is exchanged", ", but a symbolic link to "+to
		}
	}
	return recovery.Errorf(hint, "refused: %s is not a directory%s", path, but).WithExit(recovery.Refused)
}

// args are what every step of a switch is told.
type args struct {
	Component string            `json:"component"`
	Live      recovery.TargetID `json:"live"`
	Path      string            `json:"path"`
	// Beside is the restored tree, or of a switch back the old one; where it is
	// empty it is where the component is bound to.
	Beside string `json:"beside,omitempty"`
	// Aside is what the old tree is called afterwards; empty where it stays.
	Aside  string    `json:"aside,omitempty"`
	Run    string    `json:"run"`
	Moment time.Time `json:"moment,omitzero"`
	Keep   time.Time `json:"keep_until,omitzero"`
}

// Plan lists the steps of a switch.
func (switcher) Plan(c recovery.SwitchContext) (recovery.Switch, error) {
	path := c.Live.Target.Place
	a := args{Component: c.Component.Name, Live: c.Live.Target.ID, Path: path, Aside: path + ".old-" + c.Run, Run: c.Run, Moment: c.Point.Time, Keep: c.KeepUntil}
	list := recovery.NewStep("newer", newerName, "list what came after the moment", a)
	list.MayPass = true
	return recovery.Switch{
		Settle:   []recovery.Step{list},
		Exchange: []recovery.Step{step("swap", swapName, "make the restored "+path+" live", a, c.Scratch.ID)},
		Open:     []recovery.Step{step("open", openName, "keep the restored "+path, a)},
	}, nil
}

// Back lists the steps that give the old tree its place again.
func (switcher) Back(c recovery.SwitchContext, old recovery.Old) (recovery.Switch, error) {
	a := args{Component: c.Component.Name, Live: c.Live.Target.ID, Path: c.Live.Target.Place, Beside: old.Place, Run: c.Run, Keep: c.KeepUntil}
	return recovery.Switch{
		Exchange: []recovery.Step{step("swap-back", swapName, "make "+old.Place+" live again", a)},
		Open:     []recovery.Step{step("open", openName, "keep it", a)},
	}, nil
}

func step(id, kind, says string, a args, more ...recovery.TargetID) recovery.Step {
	s := recovery.NewStep(id, kind, says, a)
	s.Writes = append([]recovery.TargetID{a.Live}, more...)
	return s
}

// Kinds are the steps of a switch, and of a hand-over.
func (switcher) Kinds() []recovery.Kind {
	return []recovery.Kind{newer{}, swap{}, open{}, expire{}, handOver{}}
}

// Releasers give back a tree that was exchanged and not kept, and one that was not handed
// over to the end.
func (switcher) Releasers(func(string) (string, error)) []recovery.Releaser {
	return []recovery.Releaser{undo{}, keepRestored{}, removeHanded{}}
}
