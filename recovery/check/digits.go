package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
)

// digits judges 3-2-1-1-0, each by its evidence.
func (j *judge) digits() {
	j.a.Digits = []recovery.Digit{j.three(), j.two(), j.elsewhere(), j.locked(), j.zero()}
	do := map[string]string{
		"3 copies":    "name another copy in the runbook, on another disk, host or account",
		"2 kinds":     "let one copy be of another kind: a bucket beside a directory, another provider or account",
		"1 elsewhere": "let one copy be in another place: another region, another provider",
		"1 locked":    "create the bucket with object lock, and: aws s3api put-object-lock-configuration --bucket BUCKET --object-lock-configuration 'ObjectLockEnabled=Enabled,Rule={DefaultRetention={Mode=COMPLIANCE,Days=30}}'",
		"0 errors":    "comeback rehearse " + j.Path,
	}
	if slices.ContainsFunc(j.Copies, func(cp Copy) bool { return cp.Newest != nil && cp.Locks.First != "" }) { // objects can be locked
		do["1 locked"] = "let new objects be locked by the bucket, and the key that takes backups have s3:PutObjectRetention: each backup locks anew what it needs of earlier ones; then: comeback backup " + j.Path
	}
	for _, d := range j.a.Digits {
		if d.Mark != recovery.Met && d.Name != "0 errors" { // which the proofs have told
			j.find("3-2-1-1-0/"+d.Name, d.Mark, do[d.Name], "%s: %s", d.Name, strings.Join(d.Evidence, "; "))
		}
	}
}

// whole reports whether every component can be restored from a copy.
func (j *judge) whole(copy string) recovery.Mark {
	mark := recovery.Met
	for _, s := range j.a.Components {
		i := slices.IndexFunc(s.Copies, func(in recovery.CopyStanding) bool { return in.Copy == copy })
		switch {
		case i < 0 || s.Copies[i].Mark == recovery.NotMet:
			return recovery.NotMet
		case s.Copies[i].Mark == recovery.Unknown:
			mark = recovery.Unknown
		}
	}
	return mark
}

// aws is the provider whose service holds a bucket's region and owner against what it
// is asked for. Another one may take any.
const aws = "AWS"

// three: production counts, and every whole copy that does not fail together with
// it or with another. Of buckets of a provider whose owners are not known one does.
func (j *judge) three() recovery.Digit {
	d := recovery.Digit{Name: "3 copies", Mark: recovery.NotMet, Evidence: []string{"production is one"}}
	sure, maybe := 1, 1
	counted, owners := map[string]bool{}, map[string]bool{} // by providers
	var seen []Copy
	for _, cp := range j.Copies {
		whole := j.whole(cp.Name)
		other := slices.IndexFunc(seen, cp.failsWith)
		switch {
		case cp.Beside:
			d.Evidence = append(d.Evidence, cp.Name+" is on the same disk as production: none of its own")
			continue
		case other >= 0:
			d.Evidence = append(d.Evidence, fmt.Sprintf("%s fails together with %s (%s)", cp.Name, seen[other].Name, cp.Domain))
			continue
		case whole == recovery.NotMet:
			d.Evidence = append(d.Evidence, cp.Name+" does not hold every component")
			continue
		}
		maybe++
		unsure := cp.Unsure || slices.ContainsFunc(seen, cp.mayFailWith)
		seen = append(seen, cp)
		switch {
		case unsure:
			d.Evidence = append(d.Evidence, fmt.Sprintf("%s is on %s: whether that is the disk of production, or of another copy, is not seen", cp.Name, cp.Domain))
		case cp.Medium == "a bucket" && cp.Here:
			d.Evidence = append(d.Evidence, cp.Name+" is served by this host, from which disk is not seen")
		case whole == recovery.Unknown, cp.Domain == "" && cp.Provider == "":
			d.Evidence = append(d.Evidence, cp.Name+" could not be seen whole")
		case cp.Domain == "":
			owners[cp.Provider] = true
			d.Evidence = append(d.Evidence, fmt.Sprintf("%s is at %s, in an account that nothing proves", cp.Name, cp.Provider))
		default:
			sure++
			counted[cp.Provider] = true
			d.Evidence = append(d.Evidence, fmt.Sprintf("%s is another (%s)", cp.Name, cp.Domain))
		}
	}
	for provider := range owners {
		if !counted[provider] {
			sure++
		}
	}
	d.Mark = reached(sure, maybe, 3)
	return d
}

// failsWith reports whether two copies are on the same disk, or in the same account.
func (c Copy) failsWith(other Copy) bool {
	return c.Domain != "" && c.Domain == other.Domain || slices.ContainsFunc(c.Disks, func(disk string) bool { return slices.Contains(other.Disks, disk) })
}

// mayFailWith reports whether two directories of this host may be on the same disk.
func (c Copy) mayFailWith(other Copy) bool {
	told := func(c Copy) bool { return c.Medium != "a directory" || !c.Here || len(c.Disks) > 0 }
	return c.Medium == other.Medium && c.Here && other.Here && !(told(c) && told(other))
}

// accounts finds that no copy is out of reach of the account whose credentials this
// host itself has: who takes that over can end them all.
func (j *judge) accounts() {
	home := ""
	for _, cp := range j.Copies {
		if cp.Profile == "" && cp.Role == "" && cp.Account != "" {
			home = cp.Account
		}
	}
	var inside, unknown []string
	for _, cp := range j.Copies {
		switch {
		case j.whole(cp.Name) == recovery.NotMet, cp.Medium != "a bucket" && cp.Here:
		case home == "", cp.Medium != "a bucket", cp.Provider != aws, cp.Copy.Account != "" && cp.Copy.Account != home:
			return
		case cp.Copy.Account == home:
			inside = append(inside, cp.Name)
		default:
			unknown = append(unknown, cp.Name)
		}
	}
	switch {
	case len(unknown) > 0:
		j.find("account", recovery.Unknown, "give it its `account:` in the runbook, which AWS then holds it to", "whether a copy is outside of production's account %s is not known: nothing tells whose %s is",
			home, strings.Join(unknown, ", "))
	case len(inside) > 0:
		j.find("account", recovery.NotMet, "let a copy be in another account, with credentials that only store there", "no copy is outside of production's account: %s is in %s, which the credentials of this host are of",
			strings.Join(inside, ", "), home)
	}
}

// reached says whether there are enough, for sure or maybe.
func reached(sure, maybe, enough int) recovery.Mark {
	switch {
	case sure >= enough:
		return recovery.Met
	case maybe >= enough:
		return recovery.Unknown
	}
	return recovery.NotMet
}

// two kinds of storage, or two providers or accounts.
func (j *judge) two() recovery.Digit {
	d := recovery.Digit{Name: "2 kinds", Evidence: []string{"production is on disks of a host"}}
	sure, maybe := map[string]bool{"disks": true}, map[string]bool{"disks": true}
	for _, cp := range j.Copies {
		if j.whole(cp.Name) == recovery.NotMet {
			continue
		}
		kind, says := "disks", cp.Name+" is a directory"
		if cp.Medium == "a bucket" {
			kind = cmp.Or(cp.Domain, cp.Provider)
			says = fmt.Sprintf("%s is a bucket (%s)", cp.Name, kind)
		}
		d.Evidence = append(d.Evidence, says)
		maybe[kind] = true
		if j.whole(cp.Name) == recovery.Met {
			sure[kind] = true
		}
	}
	d.Mark = reached(len(sure), len(maybe), 2)
	return d
}

// elsewhere: one whole copy in another place.
func (j *judge) elsewhere() recovery.Digit {
	d := recovery.Digit{Name: "1 elsewhere"}
	sure, maybe := 0, 0
	for _, cp := range j.Copies {
		whole := j.whole(cp.Name)
		switch {
		case whole == recovery.NotMet:
		case cp.Here:
			d.Evidence = append(d.Evidence, cp.Name+" is on this host")
		case cp.Medium == "a bucket":
			told := cp.Provider == aws && cp.Region != ""
			together := slices.IndexFunc(j.Components, func(c recovery.Component) bool { return told && c.Settings.Text("region") == cp.Region })
			switch {
			case together >= 0:
				d.Evidence = append(d.Evidence, fmt.Sprintf("%s is in %s, as %s is", cp.Name, cp.Region, j.Components[together].Name))
				continue
			case told:
				d.Evidence = append(d.Evidence, fmt.Sprintf("%s is in %s, where AWS answers for it", cp.Name, cp.Region))
			default:
				d.Evidence = append(d.Evidence, cp.Name+" is where its service is, which nothing tells")
			}
			maybe++
			if told && whole == recovery.Met {
				sure++
			}
		default:
			d.Evidence = append(d.Evidence, cp.Name+" is a directory that is mounted here; where it lies is not seen")
			maybe++
		}
	}
	if len(d.Evidence) == 0 {
		d.Evidence = []string{"no copy holds every component"}
	}
	d.Mark = reached(sure, maybe, 1)
	return d
}

// locked: one whole copy that nobody here can delete from.
func (j *judge) locked() recovery.Digit {
	d := recovery.Digit{Name: "1 locked"}
	sure, maybe := 0, 0
	for _, cp := range j.Copies {
		if j.whole(cp.Name) == recovery.NotMet {
			continue
		}
		mark, says := j.allLocked(cp)
		if mark == recovery.Met && j.whole(cp.Name) == recovery.Unknown {
			mark, says = recovery.Unknown, says+", and what it holds could not be seen whole"
		}
		d.Evidence = append(d.Evidence, cp.Name+": "+says)
		switch mark {
		case recovery.Met:
			sure, maybe = sure+1, maybe+1
		case recovery.Unknown:
			maybe++
		}
	}
	if len(d.Evidence) == 0 {
		d.Evidence = []string{"no copy holds every component"}
	}
	d.Mark = reached(sure, maybe, 1)
	return d
}

// allLocked judges the lock of one copy by what was tried, and by all that its newest backups
// need: an object that was stored long ago may be the one that can be deleted.
func (j *judge) allLocked(cp Copy) (recovery.Mark, string) {
	mark, says := j.lock(cp)
	l := cp.Locks
	switch {
	case mark != recovery.Met || l.Of == 0:
		return mark, says
	case l.Looked < l.Of:
		return recovery.Unknown, fmt.Sprintf("%s; of %s that the newest backups need, the locks of %d could be looked at%s", says, recovery.FormatCount(l.Of, "object"), l.Looked, why(l.Err))
	}
	return mark, fmt.Sprintf("%s; %s that the newest backups need were looked at, and all are locked", says, recovery.FormatCount(l.Of, "object"))
}

// first is the object of the newest backups whose lock ends first, in words.
func (l Locks) first() string {
	if l.First == "" {
		return "the newest backup"
	}
	return l.First + ", which the newest backups need,"
}

// lock judges the lock of one copy. What was tried says more than what is
// configured.
func (j *judge) lock(cp Copy) (recovery.Mark, string) {
	day := func(r Tried) string { return r.Until.In(j.At.Location()).Format("2 Jan 2006") }
	c := cp.Canary
	switch {
	case cp.Medium != "a bucket":
		return directory(c)
	case c.Deleted && (c.Until.IsZero() || c.Until.After(j.At)): // else its lock had ended, and the next one tells
		return recovery.NotMet, fmt.Sprintf("no object lock: %s deleted our canary", by(c.By))
	case cp.Newest != nil && !cp.Newest.Hold && !cp.Newest.Until.IsZero() && !cp.Newest.Until.After(j.At):
		return recovery.NotMet, fmt.Sprintf("the lock of %s ended on %s", cp.Locks.first(), cp.Newest.Until.In(j.At.Location()).Format("2 Jan 2006"))
	case cp.Newest != nil && !cp.Newest.Hold && cp.Newest.Until.IsZero() && !c.Until.IsZero():
		// The canary is older, and the service tells locks.
		return recovery.NotMet, "objects can be locked, and " + cp.Locks.first() + " is not"
	case c.Refused && c.Until.After(j.At) && cp.Newest == nil && cp.Locking != nil && !cp.Locking.On:
		return recovery.NotMet, "our canary is locked, and what is stored now is not"
	case c.Refused && c.Until.After(j.At) && c.Mode == "GOVERNANCE":
		return recovery.Met, fmt.Sprintf("%s could not delete our canary, locked until %s in governance mode, which some may lift", by(c.By), day(c))
	case c.Refused && c.Until.After(j.At):
		return recovery.Met, fmt.Sprintf("%s could not delete our canary, locked until %s in compliance mode", by(c.By), day(c))
	case cp.Locking == nil:
		return recovery.Unknown, "whether it locks is not known" + why(cp.LockErr)
	case !cp.Locking.Able && c.Refused:
		return recovery.NotMet, fmt.Sprintf("no object lock: %s could not delete our canary, and another key may", by(c.By))
	case !cp.Locking.Able:
		return recovery.NotMet, "no object lock"
	case cp.Newest != nil && (cp.Newest.Hold || cp.Newest.Until.After(j.At)):
		return recovery.Met, fmt.Sprintf("%s is locked until %s (%s)", cp.Locks.first(), cp.Newest.Until.In(j.At.Location()).Format("2 Jan 2006"), strings.ToLower(cp.Newest.Mode))
	case cp.Newest != nil && !c.Refused:
		return recovery.NotMet, "objects can be locked, and " + cp.Locks.first() + " is not"
	case c.Refused:
		return recovery.Unknown, by(c.By) + " could not delete our canary, and no lock shows: it may lack the right alone"
	}
	return recovery.Unknown, "a lock is configured, and was not tried" + why(c.Err)
}

// directory judges a copy in which nothing is ever locked. Who may not delete may be
// told apart from who may, and nobody sees from here what others may.
func directory(c Tried) (recovery.Mark, string) {
	switch {
	case c.Deleted:
		return recovery.NotMet, fmt.Sprintf("a directory: %s deleted our canary", by(c.By))
	case c.Refused:
		return recovery.Unknown, fmt.Sprintf("a directory: %s could not delete our canary, and another user may", by(c.By))
	case c.Unplaced:
		return recovery.Unknown, fmt.Sprintf("a directory: %s may not store a canary in it, and so may delete nothing beside it; another user may", by(c.By))
	}
	return recovery.NotMet, "a directory: whoever may write to it may delete"
}

func by(who string) string {
	if who == "" {
		return "this host's key"
	}
	return who
}

func why(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// zero errors in the newest restore from each copy. What a stranger has signed proves
// nothing; that it did not pass is told, and leaves open what the older ones say. What passed
// and is no proof leaves that open, too, and mends no error.
func (j *judge) zero() recovery.Digit {
	d := recovery.Digit{Name: "0 errors", Mark: recovery.Unknown}
	var proven, failed []string
	doubted := false
	for _, cp := range j.Copies {
		strange, told := "", map[string]bool{} // the newest run of each key that nobody knows
		var hope *Proof                        // the newest that passed and is no proof
		for _, p := range j.Proofs {
			if !slices.ContainsFunc(p.Points, func(pt recovery.Point) bool { return pt.Copy == cp.Name }) {
				continue
			}
			on := p.At.In(j.At.Location()).Format("2 Jan")
			if p.Stranger != nil {
				switch {
				case told[p.Stranger.Fingerprint]:
				case !p.Passed:
					doubted, strange = true, p.Run
					d.Evidence = append(d.Evidence, fmt.Sprintf("the restore from %s on %s did not pass, as run %s says, whose signer is not known here", cp.Name, on, p.Run))
					j.find("errors/"+cp.Name+"/"+p.Stranger.Fingerprint, recovery.Unknown, "look at it: comeback report show "+p.Run,
						"the restore from %s on %s did not pass, as run %s says, signer unknown: %s", cp.Name, on, p.Run, p.Stranger.Why)
				case strange == "":
					strange = p.Run
					d.Evidence = append(d.Evidence, fmt.Sprintf("who has signed the report of run %s, from %s, is not known here", p.Run, cp.Name))
				}
				told[p.Stranger.Fingerprint] = true
				continue
			}
			switch p.Lacks() {
			case "":
				proven = append(proven, cp.Name)
				if d.Seen.IsZero() || p.At.Before(d.Seen) {
					d.Seen = p.At
				}
				d.Evidence = append(d.Evidence, fmt.Sprintf("%s was restored on %s without an error, report %s", cp.Name, on, p.Run))
			case recovery.LacksSuccess:
				d.Evidence = append(d.Evidence, fmt.Sprintf("the restore from %s on %s did not pass, run %s", cp.Name, on, p.Run))
				if hope == nil {
					failed = append(failed, cp.Name)
					break
				}
				doubted = true
				j.find("errors/"+cp.Name, recovery.Unknown, j.makesUpFor(hope.standing(0)),
					"the restore from %s on %s did not pass, run %s, and nothing that was restored from it since is proven", cp.Name, on, p.Run)
			default:
				if hope == nil {
					hope = &p
					d.Evidence = append(d.Evidence, fmt.Sprintf("%s was restored on %s by %s", cp.Name, on, p.Lacks().Of(p.Run)))
				}
				continue
			}
			break
		}
	}
	switch {
	case len(failed) > 0:
		d.Mark = recovery.NotMet
		j.find("errors/"+failed[0], recovery.NotMet, "comeback report show tells why; mend it and rehearse again", "the newest restore from %s had errors", strings.Join(failed, ", "))
	case len(proven) > 0 && !doubted:
		d.Mark = recovery.Met
	}
	if d.Copies = proven; d.Mark != recovery.Met { // nothing is to be said of when
		d.Seen, d.Copies = time.Time{}, nil
	}
	if len(d.Evidence) == 0 {
		d.Evidence = []string{"nothing was ever restored"}
	}
	return d
}
