// Package recovery is the vocabulary of comeback: what a system consists of,
// what a survey found, which moment to go back to, the plan that leads there,
// the events of a run and the state that they fold to.
//
// It is data and pure functions. Nothing here does I/O, starts a process or
// looks at a clock; the packages below it do, each one thing:
//
//	runbook.md ─parse─▶ Runbook ─┐                                  ┌─▶ State ─▶ console, --plain, resume
//	copies ─engines survey─▶ catalogue ─▶ moment ─plan─▶ plan.json ─execute─▶ journal ─Fold─┤
//	                                                                └─▶ Report ─sign─▶ SHA256SUMS.sig
//
// The words are used for nothing else: a system has components; a copy holds
// backups of components; a survey lists backups and windows; a moment resolves
// to one point per component; a plan is a list of steps; a run executes one
// plan and writes one journal; a report is the signed result of a run.
package recovery
