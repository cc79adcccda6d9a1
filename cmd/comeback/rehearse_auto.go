package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/recovery/execute"
	"comeback/recovery/plan"

	"golang.org/x/sys/unix"
)

// limits are what a rehearsal that nobody watches may take of a host.
type limits struct {
	// disk is how many bytes it may need in scratch, memory how many must be free
	// before it begins; 0 is no limit.
	disk, memory size
}

// size is a number of bytes as people write it: "20GB", "512MB", "1TB".
type size int64

func (s *size) String() string { return recovery.FormatBytes(int64(*s)) }
func (*size) Type() string     { return "SIZE" }

var units = []struct {
	suffix string
	bytes  int64
}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}

// flag is the size as Set reads it, exactly; empty if there is none.
func (s *size) flag() string {
	for _, u := range units {
		if n := int64(*s); n > 0 && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.suffix)
		}
	}
	return ""
}

func (s *size) Set(text string) error {
	for _, u := range units {
		number, ok := strings.CutSuffix(strings.TrimSpace(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 1 || n > (1<<62)/u.bytes {
			break
		}
		*s = size(n * u.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size like 20GB", text)
}

// auto chooses what most needs a proof, and gives way to everything else on the host.
func (a *app) auto(ctx context.Context, path string, o request) error {
	b, problems, err := a.open(path)
	if err != nil {
		return err
	}
	say := &plainWriter{out: a.out, now: a.now, redact: a.redact}
	for _, p := range problems {
		say.line("", "%s, line %d: warning: %s; %s", path, p.Line, p.Says, p.Do)
	}
	cat, err := a.survey(ctx, b, nil)
	if err != nil {
		return err
	}
	for _, r := range cat.Refusals {
		say.line("", "copy %s could not be judged for %s: %v", r.Copy, r.Component, r.Err)
	}
	// Without what other hosts have filed it chooses by what this one knows.
	if _, err := a.fetchFiled(ctx, b); err != nil {
		say.line("", "runs of other hosts could not be read: %v", err)
	}
	proofs, _, err := a.proofs(b.System)
	if err != nil {
		return err
	}
	anchor, _ := plan.Anchor(plan.Restored(b.Runbook))
	var copies []string
	for _, c := range plan.Copies(b.Runbook) {
		if o.copy == "" || c.Name == o.copy {
			copies = append(copies, c.Name)
		}
	}
	p, err := a.planNeeded(ctx, b, cat, proofs, anchor.Name, copies, &o, say)
	if err != nil {
		return err
	}
	if o.dryRun {
		return a.printPlan(p)
	}
	if err := o.limits.hold(p); err != nil {
		return err
	}
	if a.giveWay != nil {
		if err := a.giveWay(); err != nil {
			say.line("", "it runs with the usual priority: %v", err)
		}
	}
	return a.runPlanned(ctx, b, p, o, say)
}

// planNeeded plans to restore what most needs a proof. What cannot be planned gives way
// to what needs one next, or it would be chosen each time.
func (a *app) planNeeded(ctx context.Context, b *book, cat catalogue.Catalogue, proofs []check.Proof, anchor string, copies []string, o *request, say *plainWriter) (*recovery.Plan, error) {
	var failed error = recovery.Errorf("take a backup: comeback backup "+b.path, "no copy holds anything that could be rehearsed").WithExit(recovery.Refused)
	left, asked := cat, o.engine
	left.Surveys = slices.DeleteFunc(slices.Clone(left.Surveys), func(s recovery.Survey) bool {
		return asked != "" && s.Component == anchor && s.Engine != asked
	})
	for {
		need, ok := check.MostNeeds(left, proofs, anchor, copies, a.now(), b.Rehearse, rand.IntN)
		if !ok {
			return nil, failed
		}
		say.line("", "chosen: %s, because %s", need.Copy, need.Why)
		o.copy, o.engine, o.to = need.Copy, cmp.Or(need.Engine, asked), cmp.Or(need.Backup, string(recovery.WantLatest))
		p, err := a.plan(ctx, b, cat, o.choices)
		if err != nil && need.Backup != "" { // not everything has a backup from before that one
			say.line("", "%s cannot be reached: %v; the latest instead", o.to, err)
			o.to = string(recovery.WantLatest)
			p, err = a.plan(ctx, b, cat, o.choices)
		}
		if err == nil || need.Engine == "" || ctx.Err() != nil {
			return p, err
		}
		say.line("", "it cannot be planned: %v", err)
		failed = err
		left.Surveys = slices.DeleteFunc(slices.Clone(left.Surveys), func(s recovery.Survey) bool {
			return s.Component == anchor && s.Copy == need.Copy && s.Engine == need.Engine
		})
	}
}

// lowPriority lets everything else on the host go first.
const lowPriority = 15

// giveWay lowers the priority of every thread of this process, whichever starts the
// run: what is started inherits it.
func giveWay() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err == nil {
			err = unix.Setpriority(unix.PRIO_PROCESS, id, lowPriority)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) { // it has ended meanwhile
			return err
		}
	}
	return nil
}

// hold refuses a plan that would take more than it may.
func (l limits) hold(p *recovery.Plan) error {
	var needs int64
	for _, s := range p.Steps {
		for _, g := range s.Guards {
			if g.Kind == recovery.GuardRoom {
				needs += g.Bytes
			}
		}
	}
	if l.disk > 0 && needs > int64(l.disk) {
		return recovery.Errorf("raise --max-disk, or rehearse on a larger host", "refused: the rehearsal needs about %s of disk, and may take %s",
			recovery.FormatBytes(needs), l.disk.String()).WithExit(recovery.Refused)
	}
	if len(p.Targets) > 0 { // all scratch lies in one place
		place := existingAbove(p.Targets[0].Place)
		free, err := execute.Room(place)
		if err == nil && needs > free {
			return recovery.Errorf("make room, or name another place with --scratch", "refused: the rehearsal needs about %s in %s, and %s are free",
				recovery.FormatBytes(needs), place, recovery.FormatBytes(free)).WithExit(recovery.Refused)
		}
	}
	if l.memory > 0 {
		free, err := freeMemory()
		if err != nil {
			return err
		}
		if free < int64(l.memory) {
			return recovery.Errorf("rehearse when the host is less busy, or lower --min-memory", "refused: %s of memory are free, and %s are to stay free for the host",
				recovery.FormatBytes(free), l.memory.String()).WithExit(recovery.Refused)
		}
	}
	return nil
}

// existingAbove is the directory that a run's own is made in.
func existingAbove(place string) string {
	for dir := place; dir != "/" && dir != "."; {
		dir = dir[:max(1, strings.LastIndexByte(dir, '/'))]
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
	}
	return "/"
}

// freeMemory is what the kernel says could be had without swapping.
func freeMemory() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("look for free memory: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var kb int64
		if n, _ := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kb); n == 1 {
			return kb << 10, nil
		}
	}
	return 0, fmt.Errorf("look for free memory: /proc/meminfo does not tell")
}
