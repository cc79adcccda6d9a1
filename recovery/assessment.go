package recovery

import (
	"time"
)

// Mark says how something that is owed stands.
type Mark string

// The marks. What was not seen is never met.
const (
	Met     Mark = "met"
	NotMet  Mark = "NOT MET"
	Unknown Mark = "unknown"
)

// Answer says whether the copies would save a system.
type Answer string

// The answers, from the best to the worst.
const (
	WouldSave Answer = "YES"
	WouldBut  Answer = "YES, BUT"
	NotKnown  Answer = "UNKNOWN"
	WouldNot  Answer = "NO"
)

// Assessment is whether the copies of a system would save it tonight, and what
// says so. It is about backups that are there; what was restored is proven by
// reports, which it names.
type Assessment struct {
	Format int       `json:"comeback_check"` // 1
	System string    `json:"system"`
	At     time.Time `json:"at"`
	Answer Answer    `json:"answer"`
	RPO    Duration  `json:"rpo,omitempty"`
	RTO    Duration  `json:"rto,omitempty"`
	// Components and Copies are in the runbook's order.
	Copies     []string            `json:"copies"`
	Components []ComponentStanding `json:"components"`
	Time       TimeStanding        `json:"time"`
	Digits     []Digit             `json:"digits"`
	Findings   []Judgement         `json:"findings"`
	Rehearsal  RehearsalStanding   `json:"rehearsal"`
	// Stages are those of the newest proof, each with the run that last exercised it.
	Stages []StageStanding `json:"stages,omitempty"`
	// Runbook is the SHA-256 of the runbook that says what is owed.
	Runbook string `json:"runbook"`
	// RunbookIn are the copies in which these very bytes lie.
	RunbookIn []string `json:"runbook_in,omitempty"`
}

// ComponentStanding is how a component stands in all copies.
type ComponentStanding struct {
	Component string        `json:"component"`
	Kind      ComponentKind `json:"kind"`
	// Newest is the newest moment that can be restored from any copy; zero where
	// it is not known. Named is what people call it where a time says little: a
	// commit.
	Newest time.Time `json:"newest,omitzero"`
	Named  string    `json:"named,omitempty"`
	RPO    Mark      `json:"rpo"`
	// Unchanged says that nothing has changed at the source since Newest.
	Unchanged bool `json:"unchanged,omitempty"`
	// Lag is how far the log in the copies is behind the live server; nil where that is
	// not known.
	Lag *LogLag `json:"lag,omitempty"`
	// Copies are in the assessment's order.
	Copies []CopyStanding `json:"copies"`
	Proof  ProofStanding  `json:"proof"`
}

// LogLag is what of a server's log no copy has: so many bytes, and the time from the
// newest commit that can be restored to the newest one of the server.
type LogLag struct {
	Bytes int64    `json:"bytes,string"`
	Time  Duration `json:"time"`
}

// CopyStanding is how a component stands in one copy.
type CopyStanding struct {
	Copy string `json:"copy"`
	// Mark is Met where it can be restored from there.
	Mark Mark `json:"mark"`
	// Says is a word or two: "ok, no gap", "REFUSED", "NONE".
	Says   string    `json:"says"`
	Newest time.Time `json:"newest,omitzero"`
	// Proof is by what this component is proven from this copy.
	Proof ProofStanding `json:"proof"`
}

// ProofStanding is the newest proof, seen from what it proves. Where there is none it is
// the run that comes closest, with what it lacks; without a run it was never restored.
type ProofStanding struct {
	At  time.Time `json:"at,omitzero"`
	Run string    `json:"run,omitempty"`
	// Took is how long that run took or, of a stage, the stage.
	Took  Duration `json:"took,omitempty"`
	Lacks Lack     `json:"lacks,omitempty"`
	// SignerUnknown is a newer run that would be the proof, if anybody here knew who
	// has signed it.
	SignerUnknown string `json:"signer_unknown,omitempty"`
	// Changed is what has changed since, in words.
	Changed []string `json:"changed,omitempty"`
}

// Proven reports whether there is a proof.
func (p ProofStanding) Proven() bool { return p.Run != "" && p.Lacks == "" }

// Lack is what keeps a run from being a proof, in two words or three; empty where it is one.
type Lack string

// What runs lack. Whatever was restored without checks, or by a report that nobody stands
// behind, is a hope.
const (
	LacksChecks    Lack = "no checks"
	LacksSignature Lack = "not signed"
	LacksSigner    Lack = "signer unknown"
	LacksBytes     Lack = "not as signed"
	LacksSuccess   Lack = "did not pass"
	LacksTime      Lack = "of a time to come"
)

// Of names a run with what it lacks, as part of a sentence.
func (l Lack) Of(run string) string {
	switch l {
	case LacksChecks:
		return "run " + run + ", with no checks"
	case LacksSignature:
		return "run " + run + ", which nobody has signed"
	case LacksSigner:
		return "run " + run + ", whose signer is not known here"
	case LacksBytes:
		return "run " + run + ", whose report is not as it was signed"
	case LacksSuccess:
		return "run " + run + ", which did not pass"
	case LacksTime:
		return "run " + run + ", which says that it is of a time still to come"
	}
	return "run " + run
}

// StageStanding is a stage of the runbook; without a run it was never exercised.
type StageStanding struct {
	Stage string        `json:"stage"`
	Proof ProofStanding `json:"proof"`
}

// TimeStanding is how long it would take, against the RTO.
type TimeStanding struct {
	Mark Mark `json:"mark"`
	// Measured is what the newest proof took, with so many Bytes; Now are those
	// of today, and About what they would take.
	Measured Duration  `json:"measured,omitempty"`
	Measures time.Time `json:"measures,omitzero"`
	Bytes    int64     `json:"bytes,string,omitempty"`
	Now      int64     `json:"now,string,omitempty"`
	About    Duration  `json:"about,omitempty"`
	// Stages, and how many of them were talked through or done on a stand-in:
	// how long those take is not known.
	Stages   int `json:"stages,omitempty"`
	Talked   int `json:"talked,omitempty"`
	StoodIn  int `json:"stood_in,omitempty"`
	Untested int `json:"untested,omitempty"`
}

// Digit is one of 3-2-1-1-0.
type Digit struct {
	// Name is "3 copies", "2 kinds", "1 elsewhere", "1 locked", "0 errors".
	Name string `json:"name"`
	Mark Mark   `json:"mark"`
	// Evidence says what was seen, or declared, one sentence each.
	Evidence []string `json:"evidence"`
	// Seen is when what is met was seen, of several copies in the one where that is longest
	// ago, and Copies are these, where the digit is about each of them.
	Seen   time.Time `json:"seen,omitzero"`
	Copies []string  `json:"copies,omitempty"`
}

// Judgement is a finding of a check: what is not as it should be, and what to do.
type Judgement struct {
	// ID stays the same as long as the finding does: "rpo/uploads".
	ID   string `json:"id"`
	Mark Mark   `json:"mark"`
	// Fatal says that a component could not be brought back.
	Fatal bool   `json:"fatal,omitempty"`
	Says  string `json:"says"`
	// Do is the next step.
	Do string `json:"do"`
	// Owner is who sees to it, Due until when; both can be set.
	Owner string    `json:"owner,omitempty"`
	Due   time.Time `json:"due,omitzero"`
	// Since is when it was first found.
	Since time.Time `json:"since,omitzero"`
}

// RehearsalStanding is when the next rehearsal is due.
type RehearsalStanding struct {
	Last time.Time `json:"last,omitzero"`
	Due  time.Time `json:"due,omitzero"`
}

// Count counts the findings by their mark.
func (a Assessment) Count(m Mark) int {
	n := 0
	for _, f := range a.Findings {
		if f.Mark == m {
			n++
		}
	}
	return n
}

// Exit codes of checks are those of monitoring.
const (
	CheckOK       Exit = 0
	CheckWarning  Exit = 1
	CheckCritical Exit = 2
	CheckUnknown  Exit = 3
)

// Exit is the code that monitoring understands.
func (a Assessment) Exit() Exit {
	switch a.Answer {
	case WouldSave:
		return CheckOK
	case WouldBut:
		return CheckWarning
	case WouldNot:
		return CheckCritical
	}
	return CheckUnknown
}
