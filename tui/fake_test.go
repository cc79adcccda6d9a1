package tui

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// zone has an offset that cannot be mistaken for UTC.
var zone = time.FixedZone("CET", 3600)

// ten is the moment at which the fixtures play.
var ten = time.Date(2026, 11, 23, 10, 0, 0, 0, zone)

// fakeDesk answers from fields; tests change them.
type fakeDesk struct {
	systems  []System
	runs     []KnownRun
	opened   *Opened
	openErr  error
	rows     []Access
	prepared *Prepared
	planErr  error
	session  *fakeSession
	startErr error
	keys     []Key
	signErr  error
	texts    map[string]string
	trend    *recovery.Trend
	missing  []Need
	// transactions are the newest first.
	transactions []recovery.Transaction
	aroundErr    error
	// stuck is how far a reading comes that goes no further; nil for one that
	// ends.
	stuck *recovery.ScanProgress
	// usual judges harms; nil where nobody can.
	usual func([]recovery.Transaction) *recovery.Habits
	// usualAt is how much of the earlier days was read when the judge waits
	// for usualGoes.
	usualAt   float64
	usualGoes chan struct{}
	live      Live
	liveErr   error
	pushes    int
	ready     Ready
	checked   System
	assessed  recovery.Assessment
	filesErr  error
	// attachErr, amendErr and resumeErr are refusals.
	attachErr, amendErr, resumeErr error

	mu         sync.Mutex
	given      map[string]string
	amends     []Choice
	choices    []Choice
	mode       recovery.Mode
	typed      string
	passphrase string
	followed   []FollowUp
	fetches    []string
	// since is what has become of the run.
	since    Since
	sinceErr error
	// kept are the copies with the head of its journal.
	kept    []string
	keptErr error
	// fetch brings what other hosts have filed; nil where there is nothing.
	fetch func(runbook string) (bool, error)
}

func (d *fakeDesk) Systems(context.Context) ([]System, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.systems, nil
}

func (d *fakeDesk) Fetch(_ context.Context, runbook string) (bool, error) {
	d.mu.Lock()
	d.fetches = append(d.fetches, runbook)
	fetch := d.fetch
	d.mu.Unlock()
	if fetch == nil {
		return false, nil
	}
	return fetch(runbook)
}

func (d *fakeDesk) Runs(context.Context) ([]KnownRun, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.runs, nil
}

func (d *fakeDesk) setRuns(runs []KnownRun) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.runs = runs
}

func (d *fakeDesk) Open(context.Context, string) (*Opened, error) { return d.opened, d.openErr }

func (d *fakeDesk) Attach(context.Context, KnownRun) (recovery.Session, error) {
	if d.attachErr != nil {
		return nil, d.attachErr
	}
	return d.session, nil
}

func (d *fakeDesk) Since(context.Context, string) (Since, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.since, d.sinceErr
}

func (d *fakeDesk) Files(_ context.Context, dir string) ([]File, error) {
	if d.filesErr != nil {
		return nil, d.filesErr
	}
	return []File{
		{Name: "plan.json", Path: dir + "/plan.json", Size: 12_300, Modified: ten}, {Name: "report.md", Path: dir + "/report.md", Size: 4_100, Modified: ten.Add(9 * time.Minute)},
		{Name: "artifacts/database-replay-1.log", Path: dir + "/artifacts/database-replay-1.log", Size: 1_200_000, Modified: ten.Add(8 * time.Minute)},
	}, nil
}

func (d *fakeDesk) Text(_ context.Context, path string) (string, error) {
	text, ok := d.texts[path]
	if !ok {
		return "", recovery.Errorf("look whether the run's directory is still there", "read %s: no such file", path)
	}
	return text, nil
}

func (d *fakeDesk) Rows(_ context.Context, run string) (string, error) {
	return d.Text(context.Background(), "rows of "+run)
}

func (d *fakeDesk) Look(_ context.Context, run, component, query string) (string, error) {
	return d.Text(context.Background(), strings.TrimSpace("look at "+component+" of "+run+" "+query))
}

func (d *fakeDesk) Kept(context.Context, string) ([]string, error) { return d.kept, d.keptErr }

func (d *fakeDesk) Survey(_ context.Context, _ string, progress func(Access)) ([]Access, error) {
	for _, row := range d.rows {
		progress(Access{Copy: row.Copy, Component: row.Component, State: Looking})
		progress(row)
	}
	return d.rows, nil
}

func (d *fakeDesk) Ready(context.Context, string) (Ready, error) { return d.ready, nil }

func (d *fakeDesk) Check(context.Context, string) (recovery.Assessment, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.openErr == nil && d.checked.Name != "" {
		d.systems = slices.Clone(d.systems) // the screen reads what it was given
		d.systems[0] = d.checked
	}
	return d.assessed, d.openErr
}

func (d *fakeDesk) Trends(context.Context, string) (*recovery.Trend, error) {
	return d.trend, d.openErr
}

func (d *fakeDesk) Plan(_ context.Context, _ string, mode recovery.Mode, c Choice) (*Prepared, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mode = mode
	d.choices = append(d.choices, c)
	return d.prepared, d.planErr
}

func (d *fakeDesk) Start(_ context.Context, _ *Prepared, typed string) (recovery.Session, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.typed = typed
	if d.startErr != nil {
		return nil, d.startErr
	}
	return d.session, nil
}

func (d *fakeDesk) Amend(_ context.Context, _ recovery.Session, state recovery.State, c Choice) (recovery.Amended, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.amends = append(d.amends, c)
	if d.amendErr != nil {
		return recovery.Amended{}, d.amendErr
	}
	moment := state.Moment
	if c.Want != "" {
		moment.Want.Text = c.Want
	}
	steps := []recovery.Step{state.Step("database/copy").Step}
	a := recovery.Amended{Says: "restore database from " + c.Copy + ", " + moment.Want.Text, Moment: &moment, Steps: steps, Redo: []string{"database/copy", "database/replay"}}
	return recovery.Amend(state.PlanSHA256, a)
}

func (d *fakeDesk) Around(ctx context.Context, _ string, _ Choice, span recovery.Span, progress func(recovery.ScanProgress)) iter.Seq2[recovery.Transaction, error] {
	return func(yield func(recovery.Transaction, error) bool) {
		for _, t := range d.transactions {
			if (span.From.IsZero() || !t.Time.Before(span.From)) && (span.To.IsZero() || !t.Time.After(span.To)) && !yield(t, nil) {
				return
			}
		}
		if d.stuck != nil {
			progress(*d.stuck)
			<-ctx.Done()
			return
		}
		if d.aroundErr != nil {
			yield(recovery.Transaction{}, d.aroundErr)
		}
	}
}

func (d *fakeDesk) Usual(_ context.Context, _ string, _ Choice, harms []recovery.Transaction, progress func(float64)) (*recovery.Habits, error) {
	if d.usualAt > 0 {
		progress(d.usualAt)
		<-d.usualGoes
	}
	if d.usual == nil {
		return nil, errors.New("nobody looked")
	}
	return d.usual(harms), nil
}

func (d *fakeDesk) Live(context.Context, string, string) (Live, error) { return d.live, d.liveErr }

func (d *fakeDesk) PushOut(context.Context, string, string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pushes++
	return nil
}

func (d *fakeDesk) Missing(context.Context, KnownRun) ([]Need, error) { return d.missing, nil }

func (d *fakeDesk) Resume(_ context.Context, _ KnownRun, values map[string]string) (recovery.Session, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.given = maps.Clone(values)
	return d.session, d.resumeErr
}

func (d *fakeDesk) Approve(_ context.Context, digest string, key Key, _ []byte) (string, error) {
	if d.signErr != nil {
		return "", d.signErr
	}
	return "signature of " + digest + " by " + key.Fingerprint, nil
}

func (d *fakeDesk) Follow(_ context.Context, next FollowUp) (*Prepared, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.followed = append(d.followed, next)
	if d.planErr != nil {
		return nil, d.planErr
	}
	p := *d.prepared
	p.NameLater = next.Kind != SwitchBack
	follows := *p.Plan
	follows.Parent, p.Plan = next.Run, &follows
	return &p, nil
}

func (d *fakeDesk) Keys(context.Context) ([]Key, error) { return d.keys, nil }

func (d *fakeDesk) CreateKey(context.Context) (Key, error) {
	return Key{Name: "comeback", Type: "ssh-ed25519", Fingerprint: "SHA256:new", From: "/home/ops1/.ssh/comeback"}, nil
}

func (d *fakeDesk) Sign(_ context.Context, _ string, key Key, passphrase []byte) (Signed, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.passphrase = string(passphrase)
	if key.Locked && d.passphrase != "correct horse" {
		return Signed{}, recovery.Errorf("type it again", "the passphrase does not open %s", key.From)
	}
	return Signed{By: key.Name, Fingerprint: key.Fingerprint, At: ten.Add(14 * time.Minute)}, d.signErr
}

func (d *fakeDesk) Signature(context.Context, string) (Signed, bool, error) {
	return Signed{}, false, nil
}

func (d *fakeDesk) VerifyCommands(dir string) string {
	return "cd " + dir + "\nssh-keygen -Y verify -f YOUR_SIGNERS -I ops1 -n report@comeback -s SHA256SUMS.sig < SHA256SUMS\nsha256sum -c SHA256SUMS"
}

// fakeSession replays events and then waits for more, until it is closed.
type fakeSession struct {
	plan *recovery.Plan

	mu       sync.Mutex
	state    recovery.State
	events   []recovery.Event
	closed   bool
	changed  chan struct{}
	commands []recovery.Command
	refuse   error

	samples chan recovery.Sample
}

func newFakeSession(plan *recovery.Plan) *fakeSession {
	return &fakeSession{plan: plan, state: recovery.NewState(plan), changed: make(chan struct{}), samples: make(chan recovery.Sample)}
}

func (s *fakeSession) Plan() *recovery.Plan { return s.plan }
func (s *fakeSession) Dir() string          { return "/var/lib/comeback/runs/" + s.plan.Run }

func (s *fakeSession) State(context.Context) (recovery.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, nil
}

func (s *fakeSession) Events(ctx context.Context, from uint64) iter.Seq2[recovery.Event, error] {
	return func(yield func(recovery.Event, error) bool) {
		for {
			s.mu.Lock()
			events, closed, changed := s.events, s.closed, s.changed
			s.mu.Unlock()
			for ; from <= uint64(len(events)); from++ {
				if !yield(events[from-1], nil) {
					return
				}
			}
			if closed {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (s *fakeSession) Samples(context.Context) <-chan recovery.Sample { return s.samples }

func (s *fakeSession) Do(_ context.Context, c recovery.Command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, c)
	return s.refuse
}

func (s *fakeSession) asked() []recovery.Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]recovery.Command(nil), s.commands...)
}

// add appends events, each as long after ten as its offset says.
func (s *fakeSession) add(at time.Duration, payloads ...recovery.Payload) {
	var all []timed
	for _, p := range payloads {
		all = append(all, timed{at, p})
	}
	s.happen(all)
}

// timed is what happens at a time.
type timed struct {
	at   time.Duration
	what recovery.Payload
}

// happen adds events in their order. Who follows the session can see each without those
// after it; who attaches afterwards sees them all at once.
func (s *fakeSession) happen(all []timed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range all {
		e, err := recovery.NewEvent(ten.Add(t.at), t.what)
		if err != nil {
			panic(err)
		}
		e.Seq = uint64(len(s.events) + 1)
		s.events = append(s.events, e)
		s.state = recovery.Fold(s.state, e)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// end closes the session, as after RunEnded, or as when its runner died.
func (s *fakeSession) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	close(s.changed)
	s.changed = make(chan struct{})
}

// shopPlan is a rehearsal of the shop: seven stages, as a plan would have them.
func shopPlan() *recovery.Plan {
	p := &recovery.Plan{
		Format: 1, Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Number: 12,
		Created: ten, Runbook: recovery.Source{Path: "/var/lib/comeback/runbooks/shop.md"},
		RPO: recovery.Duration(5 * time.Minute), RTO: recovery.Duration(30 * time.Minute),
		Targets: []recovery.Target{{ID: "scratch/database", Scratch: true, Component: "database", Place: "/var/tmp/comeback/7c31/database"}},
		NotExecuted: []recovery.NotExecuted{
			{Stage: "Switch", What: "switch database, uploads", Why: "a rehearsal has nothing to switch", Line: 71},
			{Stage: "Verify and open", What: "smoke test", Why: "it runs in recovery only", Line: 77},
		},
		Warnings: []string{"uploads: the snapshot is of 02:30:00, older than the moment"},
	}
	for _, s := range []struct {
		name   string
		budget time.Duration
	}{
		{"Stop the writes", 2 * time.Minute}, {"Restore the database", 15 * time.Minute}, {"Restore the uploads", 5 * time.Minute},
		{"Check the copy", 3 * time.Minute}, {"Switch", 2 * time.Minute}, {"Verify and open", 4 * time.Minute}, {"Protect again", 10 * time.Minute},
	} {
		p.Stages = append(p.Stages, recovery.Stage{Name: s.name, Owner: "platform on-call", Budget: recovery.Duration(s.budget),
			Prose: "Ask #incidents before you tick the first item."})
	}
	point := recovery.Point{
		Component: "database", Copy: "nearby", Engine: "pitr", Exactness: recovery.ToCommit,
		Backup: recovery.Backup{ID: "base/20261122T010041", Form: "base backup, tar, gzip"},
		Time:   time.Date(2026, 11, 23, 2, 41, 5, 907e6, zone), Bytes: 14_200_000_000,
		Says:     "just before transaction 81214, 2026-11-23 02:41:07.221+01, LSN 3/7A21F0C8",
		Warnings: []string{"database \"coupons\" of the same cluster goes back too"},
	}
	p.Moment = recovery.Moment{Want: recovery.Want{Kind: recovery.WantBeforeXID, XID: 81214, Text: "before-xid:81214"}, Anchor: "database", Points: []recovery.Point{point}}
	step := func(id string, stage int, kind, says string, args any, change func(*recovery.Step)) {
		s := recovery.NewStep(id, kind, says, args)
		s.Stage = stage
		if n := len(p.Steps); n > 0 {
			s.After = []string{p.Steps[n-1].ID}
		}
		if change != nil {
			change(&s)
		}
		p.Steps = append(p.Steps, s)
	}
	database := func(expected time.Duration) func(*recovery.Step) {
		return func(s *recovery.Step) {
			s.Component, s.Writes, s.Expected = "database", []recovery.TargetID{"scratch/database"}, recovery.Duration(expected)
		}
	}
	step("stop/ticks", 0, recovery.KindTicks, "tick 2 items", recovery.TicksArgs{Items: []string{"The maintenance page is up", "Payment webhooks are paused"}}, func(s *recovery.Step) { s.MayPass = true })
	step("database/copy", 1, "pitr.copy", "copy the base backup", struct{}{}, func(s *recovery.Step) {
		database(4 * time.Minute)(s)
		s.Reads = []recovery.Ref{{Copy: "nearby", Key: "base/20261122T010041/base.tar.gz", Size: 14_200_000_000}}
	})
	step("database/replay", 1, "pitr.replay", "replay the log", struct{}{}, database(3*time.Minute))
	step("database/prove", 1, "pitr.prove", "prove where it stopped", struct{}{}, database(5*time.Second))
	step("check/orders", 3, recovery.KindSQLCheck, "orders came back", recovery.SQLCheckArgs{Name: "orders came back"}, func(s *recovery.Step) {
		s.Component, s.MayPass, s.Line, s.Expected = "database", true, 61, recovery.Duration(2*time.Second)
	})
	step("check/carts", 3, recovery.KindSQLCheck, "carts are there", recovery.SQLCheckArgs{Name: "carts are there"}, func(s *recovery.Step) {
		s.Component, s.MayPass, s.Line, s.Expected = "database", true, 67, recovery.Duration(2*time.Second)
	})
	return p
}

func prepared(p *recovery.Plan) *Prepared {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(b)
	return &Prepared{Plan: p, Bytes: b, Digest: hex.EncodeToString(sum[:])}
}

// shopDesk is a desk with one good system, one with problems, and two runs.
func shopDesk() *fakeDesk {
	last := func(name string, budget, last time.Duration) Stage {
		return Stage{Name: name, Owner: "platform on-call", Budget: budget, Last: last, Live: name == "Switch"}
	}
	people := []recovery.Person{{Role: "platform on-call", Reach: "+00 000 000"}, {Role: "approver", Reach: "#incidents", Key: approverKey}}
	shop := System{People: people, Name: "shop", Runbook: "/var/lib/comeback/runbooks/shop.md", RPO: 5 * time.Minute, RTO: 30 * time.Minute,
		RehearseEvery: 90 * 24 * time.Hour, Proof: "12 Oct, 13m12, ops1", SHA256: planDigest, Signed: "same bytes as lead signed",
		Saves: Saves{Holding: []string{"nearby", "offsite"}, Checked: ten.Add(-8 * time.Hour), Answer: SavesYes, To: ten.Add(-10*time.Minute - 29*time.Second), Findings: []string{
			"offsite could not be judged: AccessDenied", "db/2026-11-22.sql.gz in nearby cannot be restored: the stream ends early"}}}
	plan := shopPlan()
	session := newFakeSession(plan)
	return &fakeDesk{
		systems: []System{shop, {Name: "billing", Runbook: "/srv/billing/runbook.md", RPO: time.Hour, RTO: 4 * time.Hour, Problems: []Problem{
			{Line: 3, Column: 1, What: `unknown key "rpoo"`, Do: "write rpo"},
			{Line: 41, Column: 3, What: `the check "rows" has no expectation`, Do: `add a line like "-- expect: >= 1"`},
		}}},
		runs: []KnownRun{
			{ID: "b81e", System: "billing", Mode: recovery.Rehearsal, State: "WAITS for a tick since 22:14", Alive: true, Operator: "ops2", Started: ten.Add(-12 * time.Hour), Dir: "/var/lib/comeback/runs/b81e"},
			{ID: "7c31", System: "shop", Mode: recovery.Rehearsal, State: "passed, report signed", Operator: "ops1", Started: ten.Add(-42 * 24 * time.Hour), Ended: ten.Add(-42*24*time.Hour + 792*time.Second), Dir: "/var/lib/comeback/runs/7c31"},
		},
		opened: &Opened{System: shop, Title: "Bring the shop back", Copies: []recovery.Copy{
			{Name: "nearby", URL: "file:///var/backups/shop"}, {Name: "offsite", URL: "s3://shop-backups/shop", Account: "210987654321"},
		}, Text: "# Bring the shop back\n\n## Stop the writes\nOwner: platform on-call. Budget: 2m.\n", Stages: []Stage{
			last("Stop the writes", 2*time.Minute, 100*time.Second), last("Restore the database", 15*time.Minute, 475*time.Second),
			last("Restore the uploads", 5*time.Minute, 0), last("Check the copy", 3*time.Minute, 58*time.Second),
			last("Switch", 2*time.Minute, 0), last("Verify and open", 4*time.Minute, 0), last("Protect again", 10*time.Minute, 0),
		}},
		rows: shopRows(),
		ready: Ready{
			Copies: []Asker{
				{Copy: "nearby", Who: "user ops1"},
				{Copy: "offsite", Who: "arn:aws:sts::111122223333:assumed-role/bastion-ro", Account: "111122223333", Expires: ten.Add(10 * time.Minute)},
			},
			Room: []Room{{Place: "/var/tmp", Needs: 14_200_000_000, Free: 88_000_000_000}},
		},
		prepared: prepared(plan),
		session:  session,
		keys: []Key{
			{Name: "ops1@bastion", Type: "ssh-ed25519", Fingerprint: "SHA256:x1fQ8vZk2", From: "ssh-agent"},
			{Name: "id_rsa", Type: "ssh-rsa", Fingerprint: "SHA256:Zm9vYmFy", From: "/home/ops1/.ssh/id_rsa", Locked: true},
		},
		texts: map[string]string{session.Dir() + "/report.md": "# Rehearsal 12 of shop\n\n| check | expected | found | |\n|---|---|---|---|\n" + strings.Repeat("| orders came back | >= 40000 | 48211 | held |\n", 40)},
	}
}

func shopRows() []Access {
	at := func(day, hour, minute, second int) time.Time {
		return time.Date(2026, 11, day, hour, minute, second, 0, zone)
	}
	object := func(key string, size int64) []storage.Object { return []storage.Object{{Key: key, Size: size}} }
	base := recovery.Backup{ID: "base/20261122T010041", Component: "database", Copy: "nearby", Engine: "pitr", Form: "base backup, tar, gzip",
		Objects: object("base/20261122T010041/base.tar.gz", 14_200_000_000), Taken: recovery.Span{From: at(22, 1, 0, 41), To: at(22, 1, 0, 41)},
		Timeline: 4, Details: map[string]string{"server": "15.14", "start": "3/10000028"}}
	dump := func(copy, id, problem string, size int64, taken recovery.Span) recovery.Backup {
		return recovery.Backup{ID: id, Component: "database", Copy: copy, Engine: "dump", Form: "plain SQL, gzip", Objects: object(id, size), Taken: taken,
			Problem: problem, Details: map[string]string{"database": "shop", "pg_dump": "15.14"}}
	}
	return []Access{
		{Copy: "nearby", Component: "database", State: Readable, Surveys: []recovery.Survey{
			{Component: "database", Copy: "nearby", Engine: "pitr", At: ten, Backups: []recovery.Backup{base}, Windows: []recovery.Window{
				{Component: "database", Copy: "nearby", Engine: "pitr", Backup: base.ID, Timeline: 4,
					From: recovery.Instant{Time: at(22, 1, 0, 41), LSN: 0x310000100}, To: recovery.Instant{Time: at(23, 9, 49, 31), LSN: 0x37A21F0C8}},
			}},
			{Component: "database", Copy: "nearby", Engine: "dump", At: ten, Backups: []recovery.Backup{
				dump("nearby", "db/2026-11-23.sql.gz", "", 310_000_000, recovery.Span{From: at(23, 0, 30, 0), To: at(23, 0, 30, 0)}),
				dump("nearby", "db/before-the-move.sql.gz", "", 298_000_000, recovery.Span{From: at(21, 22, 0, 0), To: at(22, 0, 30, 0)}),
				dump("nearby", "db/2026-11-22.sql.gz", "the stream ends early, pg_dump did not finish", 12_000_000, recovery.Span{To: at(22, 0, 31, 0)}),
			}, Findings: []recovery.Finding{{Object: "db/2026-11-22.sql.gz", Says: "ends early", Do: "look at the job of that night"}}},
		}},
		{Copy: "offsite", Component: "database", State: Refused,
			Cause: "AccessDenied: arn:aws:sts::111122223333:assumed-role/bastion-ro is not authorized to perform s3:GetObject",
			Hint:  "sign in again: aws sso login --profile backups"},
		{Copy: "nearby", Component: "uploads", State: NotLookedAt, Says: "1 snapshot, of 02:30:00 today"},
	}
}

var errRefused = recovery.Errorf("the nearest before is 02:41:05.907, the nearest after 02:41:07.221",
	"2026-11-24 00:00:00+01 is after the end of the archive, 09:49:31")
