package runner

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"comeback/durable"
	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/journal"
	"comeback/recovery/plan"

	"golang.org/x/sys/unix"
)

// SharedState is where runs live when the machine has it, so that colleagues
// see each other's.
const SharedState = "/var/lib/comeback"

// Home is a state directory: every run has its own under runs/.
type Home struct{ Dir string }

// FindHome chooses the state directory: COMEBACK_STATE, else SharedState where
// it exists and this user may write to it ([Overlooked] says where not), else comeback
// under XDG_STATE_HOME or ~/.local/state. It creates nothing.
func FindHome(lookup func(string) (string, bool)) (Home, error) {
	if dir, ok := lookup("COMEBACK_STATE"); ok && dir != "" {
		abs, err := filepath.Abs(dir)
		return Home{abs}, err
	}
	if info, err := os.Stat(SharedState); err == nil && info.IsDir() && unix.Access(SharedState, unix.W_OK) == nil {
		return Home{SharedState}, nil
	}
	if dir, ok := lookup("XDG_STATE_HOME"); ok && filepath.IsAbs(dir) {
		return Home{filepath.Join(dir, "comeback")}, nil
	}
	if dir, ok := lookup("HOME"); ok && filepath.IsAbs(dir) {
		return Home{filepath.Join(dir, ".local/state/comeback")}, nil
	}
	return Home{}, recovery.Errorf("set COMEBACK_STATE to a directory", "there is no place for the state: neither COMEBACK_STATE nor HOME is set").WithExit(recovery.Usage)
}

// Overlooked says that runs may lie in a shared state, like SharedState, that FindHome
// passes over because this user may not write there, and what to do about it; nil where
// none is passed over.
func Overlooked(lookup func(string) (string, bool), shared, operator string) error {
	if dir, ok := lookup("COMEBACK_STATE"); ok && dir != "" {
		return nil
	}
	info, err := os.Stat(shared)
	if err != nil || !info.IsDir() || unix.Access(shared, unix.W_OK) == nil {
		return nil
	}
	hint := "use sudo; its owner lets colleagues in with a group of their own and mode 2770"
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Gid != 0 && info.Mode().Perm()&0o070 == 0o070 {
		group := fmt.Sprint(owner.Gid)
		if g, err := user.LookupGroupId(group); err == nil {
			group = g.Name
		}
		hint = fmt.Sprintf("use sudo, or join its group (sudo usermod -aG %s %s) and sign in again", group, operator)
	}
	return recovery.Errorf(hint, "runs in %s are not seen here: %s may not write there", shared, operator)
}

// ErrNoRun is the cause of an error that a run is not known.
var ErrNoRun = errors.New("no such run")

// Runs is the directory that holds the runs' directories.
func (h Home) Runs() string { return filepath.Join(h.Dir, "runs") }

// RunDir is a run's directory.
func (h Home) RunDir(id string) string { return filepath.Join(h.Runs(), id) }

// draft is where a run's directory is made before it counts as one.
func (h Home) draft(id string) string { return filepath.Join(h.Runs(), "."+id) }

// live is what only living runs have: who reaches it may command them.
func (h Home) live() string { return filepath.Join(h.Dir, "live") }

// LiveDir holds what only a living run has: its socket and its runner's log. It
// is not kept with the report.
func (h Home) LiveDir(id string) string { return filepath.Join(h.live(), id) }

// Listings is where what a bucket had at a moment waits for its restore. It is made where
// it is missing, and what lies in it can be missed.
func (h Home) Listings() (string, error) {
	dir := filepath.Join(h.Dir, "listings")
	return dir, h.mkdirAll(dir)
}

// shared reports whether colleagues see this state: its directory belongs to a
// group that may write, and hands that group on.
func (h Home) shared() bool {
	info, err := os.Stat(h.Dir)
	return err == nil && info.Mode()&fs.ModeSetgid != 0 && info.Mode().Perm()&0o070 == 0o070
}

// open lets the group of a shared state read a directory or a file that was
// made for its owner alone.
func (h Home) open(path string, mode fs.FileMode) error {
	if !h.shared() {
		return nil
	}
	return os.Chmod(path, mode)
}

// mkdirAll makes a directory below the state and what is missing above it, for
// the owner alone or, in a shared state, for the group too.
func (h Home) mkdirAll(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if dir != h.Dir && len(dir) > len(h.Dir) {
		if err := h.mkdirAll(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	if dir == h.Dir {
		return os.MkdirAll(dir, 0o700)
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return h.open(dir, 0o770|fs.ModeSetgid)
}

// WriteFile replaces a file below the state directory, whole or not at all, also after a
// crash, with the directory that it lies in.
func (h Home) WriteFile(path string, b []byte) error {
	if err := h.mkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	temp, err := durable.Temp(filepath.Dir(path), ".new-", 0o600, b)
	if err != nil {
		return err
	}
	if err := h.open(temp, 0o660); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return durable.Rename(temp, path)
}

var runID = pattern.New(`^[0-9a-f]{4,16}$`)

// NewID chooses the id of a new run that no other run has of which this host knows;
// one of another host may, so that the two are told apart by what they signed. Ids are
// short, because people say them over the phone. Nothing is created.
func (h Home) NewID() (string, error) {
	for range 64 {
		var b [2]byte
		if _, err := rand.Read(b[:]); err != nil {
			return "", fmt.Errorf("choose a run id: %w", err)
		}
		id := hex.EncodeToString(b[:])
		if !h.taken(id) {
			return id, nil
		}
	}
	return "", recovery.Errorf("move old runs out of "+h.Runs(), "no free run id was found")
}

// taken reports whether a run of this host, or one of another that was fetched, has an
// id, or whether that is not known.
func (h Home) taken(id string) bool {
	// A draft that was cut off stays, and so does the mark of a run that was not brought.
	for _, path := range []string{h.RunDir(id), h.draft(id), h.Filed().RunDir(id), h.came(id), h.foreign(id)} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// Filed is where runs of other hosts lie that were fetched from copies.
func (h Home) Filed() Home { return Home{Dir: filepath.Join(h.Dir, "filed")} }

// Past is a run as its directory tells it.
type Past struct {
	ID, Dir string
	Plan    *recovery.Plan
	State   recovery.State
	// Alive says that a process runs it now.
	Alive bool
	// Signed says that there is a signature, not that it is good.
	Signed bool
	// ReportSHA256 is the digest of report.json, "" where the report is not whole.
	ReportSHA256 string
	// Died says that the run has not ended and nobody runs it.
	Died bool
	// Brought says that it was carried out and numbered elsewhere.
	Brought bool
	// Settled are to-dos of it that somebody has said to be done.
	Settled []Settlement
	// Problem says why the directory cannot be read as a run.
	Problem error

	home Home
}

// Load reads a run by its id, its whole journal included.
func (h Home) Load(id string) (Past, error) {
	p, err := h.find(id)
	if err == nil {
		p.Problem = p.read()
	}
	return p, err
}

// Look reads what a run executes and whether it lives, and not its journal,
// which may be long: State is that before the first event, and Died is not told.
func (h Home) Look(id string) (Past, error) {
	p, err := h.find(id)
	if err == nil {
		p.Problem = p.readPlan()
		p.Alive = locked(filepath.Join(p.Dir, journal.Name))
	}
	return p, err
}

// find finds a run's directory.
func (h Home) find(id string) (Past, error) {
	dir := h.RunDir(id)
	if !runID.MatchString(id) {
		return Past{}, recovery.Errorf("list them with: comeback runs", "%q is not the id of a run", id).WithExit(recovery.Usage)
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return Past{}, &recovery.Error{What: fmt.Sprintf("there is no run %s in %s", id, h.Runs()), Hint: "list them with: comeback runs", Exit: recovery.Usage, Err: ErrNoRun}
	}
	return Past{ID: id, Dir: dir, Brought: h.Brought(id), home: h}, nil
}

// Runbook is the runbook that the run's plan was made from, as the run has kept it. One that
// is another is refused.
func (p Past) Runbook() ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(p.Dir, recovery.RunbookFile))
	if err != nil {
		return nil, fmt.Errorf("read the runbook of run %s: %w", p.ID, err)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != p.Plan.Runbook.SHA256 {
		return nil, recovery.Errorf("find out who changed it", "refused: the runbook of run %s is not the one that it was made from", p.ID).WithExit(recovery.Refused)
	}
	return b, nil
}

func (p *Past) readPlan() error {
	b, err := os.ReadFile(filepath.Join(p.Dir, recovery.PlanFile))
	if err != nil {
		return p.home.unread("read run "+p.ID, err)
	}
	if p.Plan, err = plan.Decode(b); err != nil {
		return fmt.Errorf("read run %s: %w", p.ID, err)
	}
	p.State = recovery.NewState(p.Plan)
	return nil
}

func (p *Past) read() error {
	if err := p.readPlan(); err != nil {
		return err
	}
	path := filepath.Join(p.Dir, journal.Name)
	// A runner that ends between the two looks is seen as alive once more,
	// never as dead with its end unread.
	p.Alive = locked(path)
	events, err := journal.Read(path, p.Plan.Runbook.SHA256)
	switch {
	case errors.Is(err, fs.ErrNotExist): // the runner died before it began
	case err != nil && !errors.Is(err, journal.ErrTorn):
		return err
	}
	for _, e := range events {
		p.State = recovery.Fold(p.State, e)
	}
	p.Died = !p.Alive && p.State.Result == "" && !locked(path)
	if _, err := os.Stat(filepath.Join(p.Dir, recovery.SignatureFile)); err == nil {
		p.Signed = true
	}
	p.ReportSHA256 = reportOf(p.Dir)
	var errSettled error
	p.Settled, errSettled = p.home.settlements(p.ID)
	return errSettled
}

// reportOf is the digest of a run's report.json, "" where the report is not whole:
// SHA256SUMS is written last.
func reportOf(dir string) string {
	if !reported(dir) {
		return ""
	}
	b, err := os.ReadFile(filepath.Join(dir, recovery.ReportFile))
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// reported says whether a run's report is whole.
func reported(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, recovery.SumsFile))
	return err == nil
}

// unread says what to do where what lies in the state cannot be read.
func (h Home) unread(doing string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return recovery.Errorf("use sudo, or join the group that may read "+h.Dir+"; COMEBACK_STATE names another state directory", "%s: %w", doing, err).WithExit(recovery.Usage)
	case errors.Is(err, syscall.ENOTDIR):
		return recovery.Errorf("let COMEBACK_STATE name a directory", "%s: %w", doing, err).WithExit(recovery.Usage)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Newest are the ids of all runs, those first whose plans were written last. It opens none of
// their files.
func (h Home) Newest() ([]string, error) {
	entries, err := os.ReadDir(h.Runs())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, h.unread("list runs", err)
	}
	written := map[string]time.Time{}
	for _, e := range entries {
		if !runID.MatchString(e.Name()) {
			continue
		}
		if info, err := os.Stat(filepath.Join(h.RunDir(e.Name()), recovery.PlanFile)); err == nil { // else it is no run, or was moved away
			written[e.Name()] = info.ModTime()
		}
	}
	return slices.SortedFunc(maps.Keys(written), func(x, y string) int {
		return cmp.Or(written[y].Compare(written[x]), cmp.Compare(x, y))
	}), nil
}

// List reads all runs, the newest first. Runs that cannot be read are listed
// with their Problem.
func (h Home) List() ([]Past, error) {
	entries, err := os.ReadDir(h.Runs())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, h.unread("list runs", err)
	}
	var runs []Past
	for _, e := range entries {
		if !e.IsDir() || !runID.MatchString(e.Name()) {
			continue
		}
		if p, err := h.Load(e.Name()); err == nil { // it may have been moved away meanwhile
			runs = append(runs, p)
		}
	}
	slices.SortStableFunc(runs, func(a, b Past) int { return b.State.Started.Compare(a.State.Started) })
	return runs, nil
}

// History is what earlier runs of a system say about the next one.
type History struct {
	// Number is the next run's, Previous the digest of the last report.
	Number   int
	Previous string
	runs     []Past
}

// History reads the earlier runs of a system.
func (h Home) History(system string) (History, error) {
	runs, err := h.List()
	if err != nil {
		return History{}, err
	}
	return HistoryOf(runs, system), nil
}

// HistoryOf is the history of a system among runs that were listed. A run whose
// journal cannot be read counts for the number, and says nothing else; one that was
// brought does not count for it.
func HistoryOf(runs []Past, system string) History {
	hist := History{Number: 1}
	last := 0
	for _, p := range runs {
		if p.Plan == nil || p.Plan.System != system {
			continue
		}
		if p.Problem == nil {
			hist.runs = append(hist.runs, p)
		}
		if p.Brought {
			continue
		}
		if p.Plan.Number >= hist.Number {
			hist.Number = p.Plan.Number + 1
		}
		if p.Plan.Number > last && p.ReportSHA256 != "" {
			last, hist.Previous = p.Plan.Number, p.ReportSHA256
		}
	}
	return hist
}

// lockRuns is alone to add a run, to change a report that another may follow, or to say
// something of a run that has ended, until it is closed. Who signs a report is alone with
// the same directory.
func (h Home) lockRuns() (*os.File, error) { return durable.LockDir(h.Runs()) }

// number gives a plan the next number where a run that was recorded since it was made has
// taken its own, and the report before it, which may be of a run that has ended since, or
// another one than it was. The state must be locked.
func (h Home) number(p *recovery.Plan) error {
	entries, err := os.ReadDir(h.Runs())
	if err != nil {
		return err
	}
	var runs []Past
	for _, e := range entries {
		if !e.IsDir() || !runID.MatchString(e.Name()) || e.Name() == p.Run {
			continue
		}
		if past, err := h.Look(e.Name()); err == nil { // it may have been moved away meanwhile
			past.ReportSHA256 = reportOf(past.Dir)
			runs = append(runs, past)
		}
	}
	if now := HistoryOf(runs, p.System); p.Number < now.Number || p.Number == now.Number && p.Previous != now.Previous {
		p.Number, p.Previous = now.Number, now.Previous
	}
	return nil
}

// Rehearsals are the newest rehearsals of the system that came through, with exceptions
// or without, the oldest first.
func (h History) Rehearsals(most int) []Past {
	var all []Past
	for _, p := range h.runs {
		if len(all) < most && (p.State.Result == recovery.ResultPassed || p.State.Result == recovery.ResultExceptions) && p.State.Mode == recovery.Rehearsal {
			all = append(all, p)
		}
	}
	slices.Reverse(all)
	return all
}

// StageTook is how long a stage took in the newest run in which it was done, and that tells; 0
// if it never was.
func (h History) StageTook(name string) time.Duration {
	for _, p := range h.runs {
		for i, s := range p.State.Stages {
			if took, known := p.State.StageTook(i); s.Name == name && s.State == recovery.Done && known {
				return took
			}
		}
	}
	return 0
}
