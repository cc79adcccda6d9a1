package recovery

// TailSaver is an Engine that can save what a dead server had not archived.
type TailSaver interface {
	// PlanTail makes the step that saves into a copy what it lacks of the log
	// in dir, the pg_wal of a server that has stopped or died: a directory
	// that the run's host can read. The step adds objects and replaces none.
	// It is pure.
	PlanTail(c Component, copy, dir string) (Step, error)
}
