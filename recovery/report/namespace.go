package report

// The namespaces of signatures. A signature made for one is worthless for
// another.
const (
	// Namespace is that of the operator's signature over SHA256SUMS.
	Namespace = "report@comeback"
	// ReviewNamespace is that of a second person's signature over the same
	// sums.
	ReviewNamespace = "review@comeback"
	// ApprovalNamespace is that of a second person's signature over the digest
	// of a plan, before the run goes on.
	ApprovalNamespace = "approval@comeback"
	// RunbookNamespace is that of a signature over the bytes of a runbook.
	RunbookNamespace = "runbook@comeback"
)
