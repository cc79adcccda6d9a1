package recovery

// What lies in a run's directory, beside its journal. What the report is made of and what its
// signature covers is recovery/report's.
const (
	PlanFile      = "plan.json"      // what the run was to do
	RunbookFile   = "runbook.md"     // what its plan was made from
	ReportFile    = "report.json"    // the report as data
	PageFile      = "report.md"      // the report to read
	SumsFile      = "SHA256SUMS"     // the digests of all the others, written last
	SignatureFile = "SHA256SUMS.sig" // of SumsFile
	ArtifactsDir  = "artifacts"      // what steps keep with the report
)
