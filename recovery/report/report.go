package report

import (
	"time"

	"comeback/recovery"
)

// Format is the number of the newest form that this version writes. A run gives the
// same bytes in every version that writes its format, because verifying makes
// the report again: a field that is new, here or in the types of package
// recovery that stand below, is left out where it is empty. Which format its report
// has a run says at its end; what another number changes:
//
//	2  report.md says when the system was open
//	3  a step that an amendment left out counts as decided for when it was
//	4  what was given back has lost nothing; a clock that was put back leaves times unknown;
//	   a step ends when it was decided, and what waited side by side counts once; every time
//	   that was said of the outage is told; how long nobody ran the run is at most what it says;
//	   what was handed over is neither gone nor live
//	5  a clock that was put back or forward, as an event of the run tells, leaves times unknown
const Format = recovery.ReportForm

// tellsOpened is the first format whose report.md says when the system was open;
// tellsDecided the one that is otherwise in all that stands at 4.
const (
	tellsOpened  = 2
	tellsDecided = 4
)

// Report is the result of a run as its journal tells it. Times are UTC; numbers
// that may pass 2^53 are strings; durations are written as Go writes them,
// "13m12s". What is not known is empty or says "unknown", never guessed.
type Report struct {
	Format int           `json:"comeback_report"`
	System string        `json:"system"`
	Run    string        `json:"run"`
	Number int           `json:"number"`
	Mode   recovery.Mode `json:"mode"`
	// Scenario is what was asked for, and what that came to.
	Scenario string `json:"scenario"`
	// Headline is the result in capitals: "REHEARSED, EVERY CHECK HELD".
	Headline string `json:"headline"`
	// Passed says that every check ran and held, every step is done, what the run made
	// is gone, and nothing in its journal is unknown.
	Passed bool `json:"passing"`
	// Against lists every reason why the report does not pass.
	Against []string `json:"not_passing_because,omitempty"`
	// Result, Exit and Says are the run's own words at its end; Result is
	// empty where the run has not ended.
	Result recovery.Result `json:"result"`
	Exit   recovery.Exit   `json:"exit"`
	Says   string          `json:"says"`
	// GivesBack says that the run did nothing but give back what another one still held.
	GivesBack bool `json:"gives_back,omitempty"`
	// Previous is the digest of the report before this one of the same system
	// (of its report.json), or empty.
	Previous string `json:"previous_report_sha256"`

	Who        Who        `json:"who"`
	Objectives Objectives `json:"objectives"`
	Times      Times      `json:"times"`
	Moment     Moment     `json:"moment"`

	Exceptions  []Exception `json:"exceptions"`
	NotDone     []NotDone   `json:"not_done"`
	Checks      []Check     `json:"checks"`
	Stages      []Stage     `json:"stages"`
	Steps       []Step      `json:"steps"`
	Ticks       []Tick      `json:"ticks,omitempty"`
	Waits       []Wait      `json:"waits,omitempty"`
	Decisions   []Decision  `json:"decisions,omitempty"`
	Failures    []Failure   `json:"failures,omitempty"`
	Notes       []Note      `json:"notes,omitempty"`
	Remarks     []string    `json:"remarks,omitempty"`
	Cleanup     Cleanup     `json:"cleanup"`
	Interrupted []Break     `json:"interruptions,omitempty"`
	// CutOff are the attempts that interruptions ended, Redone the ended
	// steps that were to do again.
	CutOff []CutOff `json:"attempts_cut_off,omitempty"`
	Redone []Redone `json:"done_again,omitempty"`
	// Amendments changed plan.json; Steps and Moment are those after them.
	Amendments []Amendment   `json:"amendments,omitempty"`
	Approvals  []Approval    `json:"approvals,omitempty"`
	Leases     []LeaseChange `json:"lease_changes,omitempty"`
	Secrets    []SecretGiven `json:"secrets_given,omitempty"`
	Calls      []Call        `json:"calls_for_people,omitempty"`
	// Watched says whether somebody watched the run end; it is missing where
	// the journal does not tell.
	Watched *bool `json:"watched_at_its_end,omitempty"`

	// Outages is what was said of when the outage began, in the order in which it was.
	Outages []Outage `json:"outage_said,omitempty"`

	// Earlier are the rehearsals that this one is compared with, the oldest first.
	Earlier []recovery.Earlier `json:"earlier_rehearsals,omitempty"`

	// Live is what was done to live targets; missing where the plan has none.
	Live *Live `json:"live,omitempty"`

	Targets   []recovery.Target `json:"targets"`
	Isolation Isolation         `json:"isolation"`
	Copies    []recovery.Copy   `json:"copies"`
	Versions  []Fact            `json:"versions"`

	// NextRehearsal is when the next one is due.
	NextRehearsal Due `json:"next_rehearsal"`

	Runbook   Document   `json:"runbook"`
	Plan      Document   `json:"plan"`
	Journal   Chain      `json:"journal"`
	Artifacts []Artifact `json:"artifacts"`
	// Unknown lists the events that this version does not understand.
	Unknown []string `json:"unknown_events,omitempty"`
}

// Ended reports whether the run has ended; only then can its report be written
// and signed.
func (r *Report) Ended() bool { return r.Result != "" }

// Who is who ran it. All of it is asserted by the environment of the run.
type Who struct {
	Operator    string            `json:"asserted_operator"`
	Host        string            `json:"asserted_host"`
	BootID      string            `json:"asserted_boot_id,omitempty"`
	Environment map[string]string `json:"asserted_environment,omitempty"`
	// Unattended says that the run started where nobody could be asked.
	Unattended bool `json:"unattended,omitempty"`
	// Proven says what proves who.
	Proven string            `json:"proven"`
	People []recovery.Person `json:"people_of_the_runbook,omitempty"`
}

// Document is a file of the run by its name here, where it came from, and the
// digest of its bytes.
type Document struct {
	File   string `json:"file"`
	Path   string `json:"path,omitempty"`
	SHA256 string `json:"sha256"`
}

// Chain identifies the journal.
type Chain struct {
	File    string `json:"file"`
	Genesis string `json:"genesis"`
	Entries int    `json:"entries"`
	// Head is the digest of the last line.
	Head string `json:"head"`
}

// Artifact is a file that is kept with the report.
type Artifact struct {
	File   string `json:"file"`
	Size   int64  `json:"size,string"`
	SHA256 string `json:"sha256"`
	// Step is the step that recorded it, or empty where none did: it was
	// under way when the run was interrupted.
	Step string `json:"step,omitempty"`
	// Unfinished says that an interrupted attempt left it and that the
	// journal names it.
	Unfinished bool `json:"left_by_an_interrupted_attempt,omitempty"`
}

// Fact is a named value that a step or a survey found.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// From is the step, backup or program that says so.
	From string `json:"from"`
}

// Exception is something that went otherwise than the runbook asks. Its number
// is what a second person accepts.
type Exception struct {
	Number int    `json:"number"`
	What   string `json:"what"`
	Why    string `json:"why"`
	By     string `json:"by,omitempty"`
	Step   string `json:"step,omitempty"`
}

// NotDone is something that the runbook or the plan holds and that was not
// executed, not checked or not decided.
type NotDone struct {
	// Kind is "check", "step", "item" or "runbook".
	Kind  string `json:"kind"`
	Stage string `json:"stage"`
	What  string `json:"what"`
	Why   string `json:"why"`
	// Line is where the runbook asks for it; 0 where that is not known.
	Line int `json:"line,omitempty"`
}

// Note is a remark by a person.
type Note struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
	By   string    `json:"by"`
}

// Outage is when the outage began, as somebody said. Since is zero where they said that it
// is not known.
type Outage struct {
	At    time.Time `json:"at"`
	Since time.Time `json:"since,omitzero"`
	How   string    `json:"how"`
	By    string    `json:"by"`
	// AfterEnd says that the run had ended.
	AfterEnd bool `json:"after_the_run_had_ended,omitempty"`
}

// Due is when the next rehearsal is due, and why then.
type Due struct {
	At   time.Time `json:"at,omitzero"`
	Says string    `json:"says"`
}
