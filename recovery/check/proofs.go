package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"comeback/recovery"
)

// grown is from which factor on more data is another thing to restore, where it is more
// than some bytes.
const (
	grown   = 1.5
	grownBy = 16 << 20
)

// OfBackup is the newest proof of one backup, of evidence that has at least its time, the
// proofs and what they are compared with.
func OfBackup(e Evidence, b recovery.Backup) recovery.ProofStanding {
	j := judge{Evidence: e}
	j.Proofs, j.ahead = inTime(e.Proofs, e.At)
	return j.proofOf(b.Component, b.Copy, b.ID)
}

// proofOf is the newest proof of a component, from a copy and of a backup ("" is any). Where
// none is, the run stands for it that comes closest.
func (j *judge) proofOf(component, copy, backup string) recovery.ProofStanding {
	unknown, closest := "", Proof{}
	var point recovery.Point
	for _, p := range slices.Concat(j.Proofs, j.ahead) {
		switch pt, ok := p.point(component, copy); {
		case !ok || backup != "" && pt.Backup.ID != backup || !p.Brought(component):
		case p.would():
			unknown = cmp.Or(unknown, p.Run)
		case closest.Run == "" || p.Closer(closest):
			closest, point = p, pt
		}
		if closest.Proves() {
			break
		}
	}
	s := closest.standing(closest.Took)
	s.SignerUnknown = unknown
	if closest.Run != "" {
		s.Changed = j.changedSince(closest, component, point)
	}
	return s
}

// standing is a run seen from what it was to prove, which took so long; nothing where there is
// no run.
func (p Proof) standing(took time.Duration) recovery.ProofStanding {
	if p.Run == "" {
		return recovery.ProofStanding{}
	}
	return recovery.ProofStanding{At: p.At, Run: p.Run, Took: recovery.Duration(took), Lacks: p.Lacks()}
}

// changedSince is what is another since a run has restored a component to a point.
func (j *judge) changedSince(p Proof, component string, pt recovery.Point) []string {
	var since []string
	if p.Runbook != j.Runbook {
		since = append(since, j.runbookSince(p)...)
	}
	if then, now := j.grewTo(component, pt); then > 0 && now-then > grownBy && float64(now) > grown*float64(then) {
		since = append(since, fmt.Sprintf("its size: %s then, %s now", recovery.FormatBytes(then), recovery.FormatBytes(now)))
	}
	if server, ok := j.Servers[component]; ok && server.Err == nil {
		then := cmp.Or(pt.Backup.Details[recovery.ServerVersion], strings.TrimPrefix(pt.Backup.Details["server"], "PostgreSQL "))
		if then != "" && major(then) != major(server.Version) {
			since = append(since, fmt.Sprintf("the server: PostgreSQL %s then, %s now", major(then), major(server.Version)))
		}
	}
	return append(since, j.programsSince(p, component)...)
}

// strangers finds the newest run of each key that nobody here knows, where one of its
// runs would be the proof of something.
func (j *judge) strangers() {
	would := map[string]bool{}
	for _, c := range j.a.Components {
		would[c.Proof.SignerUnknown] = true
		for _, in := range c.Copies {
			would[in.Proof.SignerUnknown] = true
		}
	}
	told := map[string]bool{}
	for _, p := range j.Proofs {
		if !p.would() || !would[p.Run] || told[p.Stranger.Fingerprint] {
			continue
		}
		told[p.Stranger.Fingerprint] = true
		var what []string
		for _, pt := range p.Points {
			what = append(what, pt.Component)
		}
		j.find("signer/"+p.Stranger.Fingerprint, recovery.Unknown, "only if you know this key from elsewhere, add this line to "+j.Signers+":\n"+p.Stranger.Line,
			"%s: restored on %s by %s, signer unknown, so that it proves nothing here: %s", strings.Join(what, ", "),
			p.At.In(j.At.Location()).Format("2 Jan 2006"), p.Run, p.Stranger.Why)
	}
}

// Weakened says which checks of the newest proof a runbook with other checks does not make
// any more, or makes otherwise; where there is no proof, of the newest run that has restored
// all the same. Proofs are the newest first.
func Weakened(proofs []Proof, checks map[string]string) []string {
	what, i := "the last proof, ", slices.IndexFunc(proofs, Proof.Proves)
	if i < 0 {
		what, i = "", slices.IndexFunc(proofs, Proof.Restored)
	}
	if i < 0 {
		return nil
	}
	since := checksSince(proofs[i].Checks, checks)
	for k, says := range since {
		since[k] = fmt.Sprintf("since %srun %s of %s, %s", what, proofs[i].Run, proofs[i].At.Format("2 Jan 2006"), says)
	}
	return since
}

// runbookSince says what of the runbook is another since a run: what it no longer
// checks, or checks otherwise, is named.
func (j *judge) runbookSince(p Proof) []string {
	if since := checksSince(p.Checks, j.Checks); len(since) > 0 {
		return since
	}
	return []string{"the runbook"}
}

// checksSince names the checks that are not made any more, or otherwise.
func checksSince(then, checks map[string]string) []string {
	var since []string
	for _, name := range slices.Sorted(maps.Keys(then)) {
		now, ok := checks[name]
		switch {
		case !ok:
			since = append(since, fmt.Sprintf("the check %q is gone", name))
		case now != then[name]:
			since = append(since, fmt.Sprintf("the check %q asks for something else", name))
		}
	}
	return since
}

// programsSince says which of the programs are others that would restore a component
// now, as far as both the run and this host tell.
func (j *judge) programsSince(p Proof, component string) []string {
	var since []string
	if known := func(v string) bool { return v != "" && v != "unknown" }; known(p.Program) && known(j.Program) && p.Program != j.Program {
		since = append(since, fmt.Sprintf("comeback: %s then, %s now", p.Program, j.Program))
	}
	then := release(p.Programs[component])
	n, err := strconv.Atoi(major(then))
	if now := release(j.Programs[n]); err == nil && strings.Contains(then, ".") && now != "" && now != then {
		since = append(since, fmt.Sprintf("the programs of PostgreSQL: %s then, %s now", then, now))
	}
	return since
}

// release is a version without who has packed it: "15.18 (Debian 15.18-1)".
func release(version string) string {
	r, _, _ := strings.Cut(version, " ")
	return r
}

func major(version string) string {
	m, _, _ := strings.Cut(version, ".")
	return m
}

// newest is the newest backup of a component that can be restored; of those of one engine, if
// that is not empty: a dump and a base backup of the same database do not compare.
func (j *judge) newest(component, engine string) (newest recovery.Backup) {
	for _, s := range j.Catalogue.Surveys {
		for _, b := range s.Backups {
			if s.Component == component && (engine == "" || s.Engine == engine) && b.Problem == "" && (newest.Amount() == 0 || b.Taken.To.After(newest.Taken.To)) {
				newest = b
			}
		}
	}
	return newest
}

// grewTo is the size of what was restored of a component, and of its newest backup: how much is
// in them, where both tell that, or else how much is read for them. What earlier versions have
// restored tells only the second.
func (j *judge) grewTo(component string, pt recovery.Point) (then, now int64) {
	newest := j.newest(component, cmp.Or(pt.Engine, pt.Backup.Engine))
	if pt.Backup.Holds.Bytes > 0 && newest.Holds.Bytes > 0 {
		return pt.Backup.Amount(), newest.Amount()
	}
	return pt.Backup.Size(), newest.Size()
}

// proofs judges what was restored, and when that is due again.
func (j *judge) proofs() {
	for i := range j.a.Components {
		j.a.Components[i].Proof = j.proofOf(j.a.Components[i].Component, "", "")
	}
	j.strangers()
	if !slices.ContainsFunc(j.Proofs, Proof.Restored) {
		j.find("proof", recovery.Unknown, j.proveIt(), "nothing was ever restored with a signed report: these backups are a hope")
		return
	}
	for _, s := range j.a.Components {
		on := s.Proof.At.In(j.At.Location()).Format("2 Jan 2006")
		switch {
		case s.Proof.Run == "":
			j.find("proof/"+s.Component, recovery.Unknown, "comeback rehearse "+j.Path, "%s was never restored: a hope", s.Component)
		case s.Proof.Lacks == recovery.LacksChecks:
			j.find("unchecked/"+s.Component, recovery.Unknown, j.makesUpFor(s.Proof),
				"%s was restored on %s by %s, and nothing was checked there: that it comes back right is not proven", s.Component, on, s.Proof.Run)
		case !s.Proof.Proven():
			j.find("proof/"+s.Component, recovery.Unknown, j.makesUpFor(s.Proof), "%s was restored on %s by %s: a hope", s.Component, on, s.Proof.Lacks.Of(s.Proof.Run))
		case len(s.Proof.Changed) > 0:
			j.find("changed/"+s.Component, recovery.Unknown, "comeback rehearse "+j.Path, "%s was proven on %s by %s; changed since: %s", s.Component,
				s.Proof.At.In(j.At.Location()).Format("2 Jan"), s.Proof.Run, strings.Join(s.Proof.Changed, ", "))
		}
	}
	for _, cp := range j.Copies {
		j.copyProven(cp.Name)
	}
	j.rehearsal()
	j.stages()
}

// makesUpFor is the next step to a proof where a run is none.
func (j *judge) makesUpFor(p recovery.ProofStanding) string {
	switch p.Lacks {
	case recovery.LacksSignature:
		return "comeback report sign " + p.Run
	case recovery.LacksChecks:
		return "write a check into the runbook, then comeback rehearse " + j.Path
	}
	return "comeback rehearse " + j.Path
}

// proveIt is the next step where nothing is proven: to sign the newest run that lacks only that.
func (j *judge) proveIt() string {
	for _, p := range j.Proofs {
		if p.Lacks() == recovery.LacksSignature {
			return j.makesUpFor(p.standing(0))
		}
	}
	return "comeback rehearse " + j.Path
}

// copyProven finds a copy of which nothing is proven. That no run checked anything is told of
// the components.
func (j *judge) copyProven(name string) {
	from := func(p Proof) bool {
		return p.Restored() && slices.ContainsFunc(p.Points, func(pt recovery.Point) bool { return pt.Copy == name })
	}
	do := "comeback rehearse " + j.Path + " --copy " + name
	switch i := slices.IndexFunc(j.Proofs, from); {
	case i < 0:
		j.find("proof/copy/"+name, recovery.Unknown, do, "%s was never restored from: a hope", name)
	case slices.ContainsFunc(j.Proofs, Proof.Proves) && !slices.ContainsFunc(j.Proofs, func(p Proof) bool { return p.Proves() && from(p) }):
		j.find("unchecked/copy/"+name, recovery.Unknown, do, "what was restored from %s on %s by %s was not checked: a hope", name,
			j.Proofs[i].At.In(j.At.Location()).Format("2 Jan 2006"), j.Proofs[i].Run)
	}
}

// rehearsal judges when the next rehearsal is due: so long after the last run that proved
// anything.
func (j *judge) rehearsal() {
	i := slices.IndexFunc(j.Proofs, Proof.Proves)
	if i < 0 {
		return
	}
	last := j.Proofs[i].At
	j.a.Rehearsal.Last = last
	if j.Rehearse <= 0 {
		return
	}
	j.a.Rehearsal.Due = last.Add(j.Rehearse)
	if j.At.After(j.a.Rehearsal.Due) {
		j.find("rehearsal", recovery.NotMet, "comeback rehearse "+j.Path, "a rehearsal is due since %s: the last that proved anything was on %s",
			j.a.Rehearsal.Due.In(j.At.Location()).Format("2 Jan 2006"), last.In(j.At.Location()).Format("2 Jan 2006"))
	}
}

// exercised is the newest proof in which a stage was done; where there is none, the
// newest run with a signed report.
func (j *judge) exercised(stage string) recovery.ProofStanding {
	closest, took := Proof{}, time.Duration(0)
	for _, p := range j.Proofs {
		i := slices.IndexFunc(p.Stages, func(s Stage) bool { return s.Name == stage && s.done() })
		if i >= 0 && p.Restored() && (closest.Run == "" || p.Closer(closest)) {
			closest, took = p, p.Stages[i].Took
		}
	}
	s := closest.standing(took)
	if closest.Run != "" && closest.Runbook != j.Runbook {
		s.Changed = j.runbookSince(closest)
	}
	return s
}

// stages finds those that no run has ever exercised.
func (j *judge) stages() {
	real := map[string]bool{}
	for _, p := range j.Proofs {
		if p.Stranger != nil {
			continue
		}
		for _, s := range p.Stages {
			if s.done() {
				real[s.Name] = true
			}
		}
	}
	for _, p := range j.Proofs {
		if !p.Restored() {
			continue
		}
		var never []string
		for _, s := range p.Stages {
			j.a.Stages = append(j.a.Stages, recovery.StageStanding{Stage: s.Name, Proof: j.exercised(s.Name)})
			if !real[s.Name] {
				never = append(never, fmt.Sprintf("%q", s.Name))
			}
		}
		if len(never) > 0 {
			j.find("stages", recovery.Unknown, "exercise them on a day of your choice, and tick them as done", "never exercised, only talked through or left out: %s", strings.Join(never, ", "))
		}
		return
	}
}

// time holds what a recovery takes against the RTO. What a run took was measured whether or
// not it checked anything.
func (j *judge) time() {
	t := &j.a.Time
	t.Mark = recovery.Unknown
	restored, measured := map[string]recovery.Point{}, "" // what was measured, and by which run
	for _, p := range j.Proofs {
		if !p.Restored() || p.Untimed || p.Took <= 0 {
			continue
		}
		t.Measured, t.Measures, t.Stages, measured = recovery.Duration(p.Took), p.At, len(p.Stages), p.Run
		for _, pt := range p.Points {
			then, _ := j.grewTo(pt.Component, pt)
			t.Bytes, restored[pt.Component] = t.Bytes+then, pt
		}
		for _, s := range p.Stages {
			switch {
			case s.Omitted:
				t.Untested++
			case s.Talked:
				t.Talked++
			case s.StoodIn:
				t.StoodIn++
			}
		}
		break
	}
	for _, c := range j.Components {
		_, now := j.grewTo(c.Name, restored[c.Name])
		t.Now += now
	}
	if t.Measured == 0 {
		if j.RTO > 0 {
			j.find("rto", recovery.Unknown, "comeback rehearse "+j.Path, "how long it takes to come back was never measured; the RTO is %s", recovery.FormatSpan(j.RTO))
		}
		return
	}
	t.About = t.Measured
	if t.Bytes > 0 && t.Now > t.Bytes {
		t.About = recovery.Duration(float64(t.Measured) * float64(t.Now) / float64(t.Bytes))
	}
	switch {
	case j.RTO == 0:
	case time.Duration(t.About) <= j.RTO:
		t.Mark = recovery.Met
	default:
		t.Mark = recovery.NotMet
		j.find("rto", recovery.NotMet, "see which stage takes how long: comeback report show "+measured, "to come back takes about %s, the RTO is %s",
			recovery.FormatSpan(time.Duration(t.About)), recovery.FormatSpan(j.RTO))
	}
}
