// Package report turns the journal of a run that has ended into a document that
// an auditor can check without trusting comeback.
//
// A run's directory holds the plan, the journal, the runbook's bytes and the
// artifacts. [Make] folds them, and nothing else, to a [Report]: it never reads
// a live system, a clock or the environment, so the same directory gives the
// same report everywhere. [Write] adds report.json and report.md and, last,
// SHA256SUMS over all of them. [Sign] puts a detached SSH signature of
// SHA256SUMS beside it. [Verify] goes the way back: the signature, every digest,
// the journal's chain, and that the report says what the journal tells.
//
// Two commands of other people's tools show the same:
//
//	ssh-keygen -Y verify -f allowed_signers -I NAME -n report@comeback -s SHA256SUMS.sig < SHA256SUMS
//	sha256sum --strict -c SHA256SUMS
//
// What a report says about people and hosts is asserted by the environment of
// the run. Only the signature proves who stands behind it, and only to a reader
// who has the key from somewhere else: a list of signers that lies beside the
// report proves nothing. The chain does not stop the holder of the key from
// writing a whole new journal before signing it.
package report
