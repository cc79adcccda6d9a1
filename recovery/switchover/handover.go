package switchover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/ledger"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
)

const handOverName = "live.hand-over"

// handedServer is a restored server that is to be left running.
const handedServer recovery.ResourceKind = "handed over server"

// handOverArgs are those of the step that leaves a restored server running.
type handOverArgs struct {
	Component string            `json:"component"`
	Run       string            `json:"run"`
	Scratch   recovery.TargetID `json:"scratch"`
	// Place is the directory that the server has from then on.
	Place  string `json:"place"`
	Listen string `json:"listen,omitempty"`
}

// HandOver lists the step that leaves what was restored running. Its directory lies
// beside the run's scratch, which goes.
func (s switcher) HandOver(c recovery.SwitchContext) ([]recovery.Step, error) {
	var steps []recovery.Step
	if there, is := s.Elsewhere[c.Point.Engine]; is {
		all, err := there.HandOver(c)
		if _, either := there.(Either); err != nil || !either {
			return all, err
		}
		steps = all
	}
	root := filepath.Dir(c.Scratch.Place)
	a := handOverArgs{Component: c.Component.Name, Run: c.Run, Scratch: c.Scratch.ID, Place: root + "." + c.Component.Name, Listen: c.Component.Settings.Text("listen")}
	step := recovery.NewStep("hand-over", handOverName, "leave the restored "+c.Component.Name+" running in "+a.Place, a)
	step.Writes = []recovery.TargetID{c.Scratch.ID}
	for _, s := range steps {
		step.After = append(step.After, s.ID)
	}
	return append(steps, step), nil
}

// handOver makes a server of its own of the restored one. Until it answers it is a
// claim; then it is nobody's but the people's.
type handOver struct{}

func (handOver) Name() string              { return handOverName }
func (handOver) Restart() recovery.Restart { return recovery.Repeat }

func (handOver) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a handOverArgs
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	scratch, err := env.Target(ctx, a.Scratch)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if where := handedBefore(env, a.Component); where != "" {
		return recovery.Outcome{Says: "it was handed over at " + where}, nil
	}
	binding, ok := env.Binding(a.Component)
	if !ok || !binding.Scratch {
		return recovery.Outcome{}, recovery.Errorf("retry the restore", "hand %s over: it is not restored", a.Component)
	}
	config, err := postgres.ParseAddress(binding.URL)
	if err != nil {
		return recovery.Outcome{}, err
	}
	mark, err := leaveScratch(ctx, scratch, binding.URL)
	if err != nil {
		return recovery.Outcome{}, err
	}
	h, err := a.server(ctx, env, scratch.Owner, mark)
	if err != nil {
		return recovery.Outcome{}, err
	}
	h.Superuser = config.User
	r := recovery.Resource{Kind: handedServer, ID: h.Place, Details: map[string]string{"run": a.Run, "major": strconv.Itoa(h.Tools.Major)}}
	if err := env.Claim(ctx, r); err != nil {
		return recovery.Outcome{}, err
	}
	if err := (postgres.Cluster{Data: mark.Data}).Halt(ctx); err != nil {
		return recovery.Outcome{}, err
	}
	which, err := h.Take(mark.Data)
	if err != nil {
		return recovery.Outcome{}, err
	}
	address, local, err := h.Serve(ctx, env, config.Database)
	if err != nil {
		return recovery.Outcome{}, err
	}
	mark.Durable = true
	if err := mark.Write(scratch.Dir); err != nil {
		return recovery.Outcome{}, err
	}
	inode, err := which.MarshalText()
	if err != nil {
		return recovery.Outcome{}, err
	}
	start := fmt.Sprintf("%s -D %s start", h.Tools.Program("pg_ctl"), h.Data())
	return recovery.Outcome{
		Says:     fmt.Sprintf("the restored %s runs on its own and answers at %s", a.Component, address),
		Bindings: []recovery.Binding{{Component: a.Component, URL: local, Scratch: true}},
		Adopted:  []recovery.Resource{r},
		HandedOver: []recovery.HandedOver{{Component: a.Component, Address: address, Local: local, Place: h.Place,
			Identity: recovery.Identity{"inode": string(inode), "data directory": h.Place, "run": a.Run},
			Says:     "roles get in with their own passwords, " + owned(h.Owner) + " through its socket; it archives nothing, and after a reboot it is started by hand: " + start}},
		Facts: map[string]string{"address": address, "directory": h.Place},
	}, nil
}

// handedBefore is where a step before this one has left the component running; empty
// where none has.
func handedBefore(env recovery.Env, component string) string {
	e, ok := env.(recovery.Preceded)
	if !ok {
		return ""
	}
	for _, st := range e.Before() {
		for _, h := range st.Outcome.HandedOver {
			if h.Component == component {
				return h.Address
			}
		}
	}
	return ""
}

func owned(u recovery.User) string {
	if u.UID < 0 {
		return "its owner"
	}
	return "the user " + u.Name
}

// server is the server that is left running, of the major of what was restored.
func (a handOverArgs) server(ctx context.Context, env recovery.Env, owner recovery.User, mark *postgres.HandOver) (live.Handed, error) {
	h := live.Handed{Place: a.Place, Owner: owner, Listen: a.Listen, Name: "comeback " + a.Run}
	held := claimedHere(env, handedServer, a.Place)
	at, err := exchange.Standing(a.Place)
	if err != nil {
		return h, err
	}
	if at != (exchange.Identity{}) && !held {
		return h, recovery.Errorf("find out who made it and move it away, or choose another place with --scratch",
			"refused: %s is there, and this run has not made it", a.Place).WithExit(recovery.Refused)
	}
	var none error
	for _, data := range []string{mark.Data, h.Data()} {
		major, err := postgres.MajorOf(data)
		if err == nil {
			h.Tools, err = postgres.FindTools(major)
			return h, err
		}
		none = err
	}
	return h, none
}

func claimedHere(env recovery.Env, kind recovery.ResourceKind, id string) bool {
	for _, r := range env.Held() {
		if r.Kind == kind && r.ID == id {
			return true
		}
	}
	return false
}

// Revive starts the server again where the machine was started again meanwhile.
func (handOver) Revive(ctx context.Context, env recovery.Env, s recovery.Step, o recovery.Outcome, _ bool) error {
	for _, h := range o.HandedOver {
		major, err := postgres.MajorOf(filepath.Join(h.Place, "data"))
		if err != nil {
			return fmt.Errorf("%s: %w: %w", h.Place, err, recovery.ErrGone)
		}
		tools, err := postgres.FindTools(major)
		if err != nil {
			return err
		}
		if err := (live.Service{Data: filepath.Join(h.Place, "data"), Tools: tools}).Start(ctx, env, h.Local); err != nil {
			return err
		}
	}
	return nil
}

// leaveScratch marks a scratch target, so that nobody revives what leaves it, and
// tells where its data are. What does not lie in scratch is refused: the server would
// be another host's, and its directory, here, somebody else's.
func leaveScratch(ctx context.Context, scratch recovery.Handle, url string) (*postgres.HandOver, error) {
	h, err := postgres.ReadHandOver(scratch.Dir)
	if err != nil {
		return nil, err
	}
	if h != nil {
		return h, inScratch(scratch.Dir, h.Data)
	}
	config, err := postgres.ParseAddress(url)
	if err != nil {
		return nil, err
	}
	conn, err := postgres.DialLive(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("ask the restored server where its data are: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	id, err := postgres.ReadIdentity(ctx, conn)
	if err != nil {
		return nil, err
	}
	if err := inScratch(scratch.Dir, id.DataDirectory); err != nil {
		return nil, err
	}
	h = &postgres.HandOver{Data: id.DataDirectory, Boot: ledger.Boot()}
	return h, h.Write(scratch.Dir)
}

// inScratch refuses a data directory that does not lie below a scratch directory; one
// that has left it already did.
func inScratch(scratch, data string) error {
	roots := []string{scratch}
	root, err := filepath.EvalSymlinks(scratch)
	if err != nil {
		return fmt.Errorf("look at the scratch directory: %w", err)
	}
	switch real, err := filepath.EvalSymlinks(data); {
	case err == nil:
		roots, data = []string{root}, real
	case errors.Is(err, fs.ErrNotExist):
		roots = append(roots, root)
	default:
		return fmt.Errorf("look at the restored server's data directory: %w", err)
	}
	for _, root := range roots {
		if rel, err := filepath.Rel(root, data); err == nil && rel != "." && filepath.IsLocal(rel) {
			return nil
		}
	}
	return recovery.Errorf("it runs elsewhere, where its maker's own tools bring it live; or write `into: hand-over`, where the engine can leave it running there",
		"refused: the restored server's data directory %s does not lie in this run's scratch, %s", data, scratch).WithExit(recovery.Refused)
}

// removeHanded gives back a server that was not left running to the end.
type removeHanded struct{}

func (removeHanded) Resource() recovery.ResourceKind { return handedServer }

func (removeHanded) Release(ctx context.Context, r recovery.Resource) error {
	if !filepath.IsAbs(r.ID) || r.Details["run"] == "" {
		return fmt.Errorf("give back %s %s: %w", r.Kind, r.ID, errNotRecorded)
	}
	at, err := exchange.Standing(r.ID)
	if err != nil || at == (exchange.Identity{}) {
		return err
	}
	return live.Handed{Place: r.ID}.Remove(ctx, at)
}

var _ recovery.HandOverer = switcher{}
