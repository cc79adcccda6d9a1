package backup

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

// Keep says how many backups of each component, copy and engine are kept: the
// newest of each of so many days, ISO weeks and months that have one. Zero keeps
// none of that sort; a Keep of zeros keeps everything.
type Keep struct{ Daily, Weekly, Monthly int }

// ParseKeep reads what a component's `retain` asks for: "14 daily", "8 weekly",
// "12 monthly". Nothing keeps everything.
func ParseKeep(words []string) (Keep, error) {
	var k Keep
	for _, w := range words {
		f := strings.Fields(w)
		n, err := 0, error(nil)
		if len(f) == 2 {
			n, err = strconv.Atoi(f[0])
		}
		rule := map[string]*int{"daily": &k.Daily, "weekly": &k.Weekly, "monthly": &k.Monthly}
		if len(f) != 2 || err != nil || n < 1 || n > 10_000 || rule[f[1]] == nil || *rule[f[1]] != 0 {
			return Keep{}, recovery.Errorf("write it like `retain: [14 daily, 8 weekly, 12 monthly]`", "%q does not say how many backups are kept", w).WithExit(recovery.Usage)
		}
		*rule[f[1]] = n
	}
	return k, nil
}

// CheckKeep says what is wrong with one value of a component's `retain`.
func CheckKeep(word string) error {
	if _, err := ParseKeep([]string{word}); err != nil {
		return recovery.Errorf(recovery.HintOf(err), "does not say how many backups are kept").WithExit(recovery.Usage)
	}
	return nil
}

// Kept says why a backup stays, or that it may go.
type Kept struct {
	recovery.Backup
	// Why is empty for what may be removed.
	Why []string
}

// Known are the signers of proofs whom the reader knows.
const Known = ""

// Prover is whoever has signed that a backup was restored in a run that passed: Known, or the
// key of a stranger. Unchecked says that nothing was checked in it, so that it is no proof.
type Prover struct {
	Signer    string
	Unchecked bool
}

// why says why the newest stays that somebody has proven or, where there is none, restored.
func (p Prover) why() string {
	why, done := "the newest that was ", "proven"
	if p.Signer != Known {
		why = "the newest that " + p.Signer + " has "
	}
	if p.Unchecked {
		done = "restored, with no checks and none proven"
	}
	if p.Signer != Known {
		done += ", a key that is not known here"
	}
	return why + done
}

func (p Prover) compare(other Prover) int {
	unchecked := map[bool]int{true: 1}
	return cmp.Or(cmp.Compare(p.Signer, other.Signer), cmp.Compare(unchecked[p.Unchecked], unchecked[other.Unchecked]))
}

// newestWhole is the newest that can be restored in which all is as it was to be; -1 where
// none is.
func newestWhole(all []Kept) int {
	for i, k := range slices.Backward(all) {
		if k.Problem == "" && k.Details[recovery.DetailExceptions] == "" {
			return i
		}
	}
	return -1
}

// newestStored is the newest that can be restored by the clock of its store, whatever it
// says itself; -1 where none can be.
func newestStored(all []Kept) int {
	newest := -1
	for i, k := range all {
		if k.Problem == "" && (newest < 0 || !k.storedAt().Before(all[newest].storedAt())) {
			newest = i
		}
	}
	return newest
}

// longBehind is from where on a backup says that it is of a time too long before it was
// stored: a backup takes hours. It was copied from elsewhere, or a clock was behind.
const longBehind = 24 * time.Hour

// claims is the time that a backup says it is of.
func (k Kept) claims() time.Time { return k.Taken.Last() }

// storedAt is when it was stored, by the clock of its store; where that is not known, the
// time that it says it is of.
func (k Kept) storedAt() time.Time {
	if !k.Contradicts.IsZero() {
		return k.Contradicts
	}
	if t := k.Stored(); !t.IsZero() {
		return t
	}
	return k.claims()
}

// ahead reports whether a backup says that it is of a time which was still to come when it
// was stored, or still is: a clock was wrong.
func (k Kept) ahead(now time.Time) bool {
	return !k.Contradicts.IsZero() || !k.Taken.Contradicted(k.Stored()).IsZero() || recovery.Future(k.claims(), now)
}

// doubtful reports whether it is not sure of which day a backup is.
func (k Kept) doubtful(now time.Time) bool {
	return k.ahead(now) || k.storedAt().Sub(k.claims()) > longBehind
}

// there reports whether all of a backup was there, and may be again.
func (k Kept) there() bool { return k.Problem == "" || k.Damaged || k.Left }

// rule keeps the newest backup of each of so many periods that have one.
type rule struct {
	n    int
	name string
	// period is the one that a time is in.
	period func(time.Time) string
}

func (k Keep) rules() []rule {
	return []rule{
		{k.Daily, "day", func(t time.Time) string { return t.Format(time.DateOnly) }},
		{k.Weekly, "week", func(t time.Time) string { y, w := t.ISOWeek(); return fmt.Sprintf("%d-W%02d", y, w) }},
		{k.Monthly, "month", func(t time.Time) string { return t.Format("2006-01") }},
	}
}

// newest gives those backups that the rule keeps of the ones that count, each at its time
// in zone, with the periods that they are the newest of.
func (r rule) newest(all []Kept, counts func(Kept) bool, at func(Kept) time.Time, zone *time.Location) map[int]string {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return at(all[a]).Compare(at(all[b])) })
	of, seen := map[int]string{}, map[string]bool{}
	for _, i := range slices.Backward(order) {
		period := r.period(at(all[i]).In(zone))
		if counts(all[i]) && !seen[period] && len(seen) < r.n {
			seen[period] = true
			of[i] = period
		}
	}
	return of
}

// beforeShrinking are the backups, by their ids, by which it is seen that much less is in those
// after them, until somebody says that this is meant: what is not in them may be nowhere else.
// Of base backups the log tells what went.
func beforeShrinking(s recovery.Survey, meant []recovery.Backup) map[string]bool {
	ids := map[string]bool{}
	for _, less := range s.Shrank(meant) {
		for _, b := range less.Evidence() {
			ids[b.ID] = ids[b.ID] || b.Stop == 0
		}
	}
	return ids
}

// Retain decides which backups of one survey stay. It is pure. The newest that can
// be restored always stays, and so does the newest that each signer has proven, also
// where something is said to keep it from being restored now: that may be mended, and it
// was restored (proven gives those of a backup). So a stranger can let something stay, and never
// lets go what another has proven. What was restored without checks is not proven, and lets
// nothing go that is; of a signer who has proven nothing that can be restored, the newest such
// stays, because to remove it cannot be undone. What cannot be restored
// goes when a newer one can be; what was damaged after it was stored, or lies on a timeline
// that was left, stays as long as it would if it were whole. Where it is not sure of which
// day a backup is, because a clock was wrong or it was copied from elsewhere, it stays as
// long as it would by what it says or by the clock of its store, and takes no place from
// those of which it is sure. The last before the newest shrank stay, unless one that did is
// meant to be so. Days are those of the zone of now.
func Retain(s recovery.Survey, keep Keep, now time.Time, proven func(recovery.Backup) []Prover, meant []recovery.Backup) []Kept {
	r := retention{all: make([]Kept, len(s.Backups)), now: now}
	for i, b := range s.Backups {
		r.all[i].Backup = b
	}
	slices.SortStableFunc(r.all, func(a, b Kept) int { return cmp.Or(a.claims().Compare(b.claims()), cmp.Compare(a.ID, b.ID)) })
	r.newest()
	if proven != nil {
		r.proven(proven)
	}
	before := beforeShrinking(s, meant)
	for i, k := range r.all {
		if before[k.ID] {
			r.stay(i, "one of the last before they shrank")
		}
	}
	if keep == (Keep{}) {
		for i := range r.all {
			r.stay(i, "nothing is to go")
		}
		return r.all
	}
	for _, rule := range keep.rules() {
		r.keeps(rule)
	}
	r.withoutNewer()
	return r.all
}

// retention is what stays of a component's backups, in the order of time, while that is judged.
type retention struct {
	all []Kept
	now time.Time
}

// stay says why a backup stays; -1 is none.
func (r *retention) stay(i int, format string, args ...any) {
	if i >= 0 {
		r.all[i].Why = append(r.all[i].Why, fmt.Sprintf(format, args...))
	}
}

// newest lets the newest stay that can be restored, as a whole, and by each clock.
func (r *retention) newest() {
	newest := -1
	for i, k := range r.all {
		if k.Problem == "" {
			newest = i
		}
	}
	r.stay(newest, "the newest")
	if whole := newestWhole(r.all); whole != newest {
		r.stay(whole, "the newest without exceptions")
	}
	if stored := newestStored(r.all); stored != newest {
		r.stay(stored, "the newest by the clock of its store")
	}
}

// proven lets the newest stay that each signer has proven.
func (r *retention) proven(by func(recovery.Backup) []Prover) {
	newest, usable := map[Prover]int{}, map[Prover]int{}
	for i, k := range r.all {
		for _, p := range by(k.Backup) {
			newest[p] = i
			if k.Problem == "" {
				usable[p] = i
			}
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(newest), Prover.compare) {
		if _, proven := usable[Prover{Signer: p.Signer}]; p.Unchecked && proven {
			continue
		}
		r.stay(newest[p], "%s", p.why())
		if i, ok := usable[p]; ok && i != newest[p] {
			r.stay(i, "%s, of those that can be restored", p.why())
		}
	}
}

// keeps lets stay what a rule keeps: of those of which it is sure when they were taken; of
// these with what was left or damaged; and of those in doubt by either clock.
func (r *retention) keeps(rule rule) {
	zone := r.now.Location()
	sure := func(k Kept) bool { return k.there() && !k.doubtful(r.now) }
	whole := func(k Kept) bool { return sure(k) && k.Problem == "" }
	for i, period := range rule.newest(r.all, whole, Kept.claims, zone) {
		r.stay(i, "the newest of the %s %s", rule.name, period)
	}
	for i, period := range rule.newest(r.all, sure, Kept.claims, zone) {
		switch {
		case r.all[i].Left:
			r.stay(i, "the newest of the %s %s on a timeline that was left: the component's timeline brings it back", rule.name, period)
		case r.all[i].Problem != "":
			r.stay(i, "it would be the newest of the %s %s, and was damaged: look for its parts before it goes", rule.name, period)
		}
	}
	for i, period := range rule.newest(r.all, Kept.there, Kept.claims, zone) {
		if r.all[i].doubtful(r.now) {
			r.stay(i, "the newest of the %s %s by what it says of itself", rule.name, period)
		}
	}
	for i, period := range rule.newest(r.all, Kept.there, Kept.storedAt, zone) {
		if r.all[i].doubtful(r.now) {
			r.stay(i, "the newest of the %s %s by the clock of its store", rule.name, period)
		}
	}
}

// withoutNewer lets stay what cannot be restored, where nothing that is surely newer can.
func (r *retention) withoutNewer() {
	newestSure := -1
	for i, k := range r.all {
		if k.Problem == "" && !k.ahead(r.now) {
			newestSure = i
		}
	}
	for i := range r.all {
		if r.all[i].Problem != "" && i > newestSure {
			r.stay(i, "it cannot be restored, and nothing that is surely newer can")
		}
	}
}
