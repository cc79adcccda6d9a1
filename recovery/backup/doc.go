// Package backup takes backups and ships them: what a runbook asks for, in the
// formats of the tools that own them, into every copy that the runbook names.
//
// It promises that the source is read once for all copies, that what is stored
// half is never listed, and that one copy's failure keeps the others from
// nothing. Engines that are a [recovery.Capturer] do the reading; this package
// opens the copies, keeps digests of every object, and puts beside each backup
// what is known of it.
//
// In a copy it keeps, beside the backups themselves:
//
//	comeback/backups/COMPONENT/STAMP-SORT.json    a recovery.Manifest
//	comeback/runbooks/SYSTEM/STAMP-DIGEST.md      the runbook that asked for it
//	comeback/runs/SYSTEM/NUMBER-RUN-SUMS.tar      a run that was signed
//	comeback/heads/SYSTEM/NUMBER-RUN-DIGEST.json  the head of a run's journal
//	comeback/unfinished/COMPONENT/STAMP-SORT.json what an interruption has left
//	comeback/restoring/SYSTEM/RUN-BY.json         what a run restores from it, until when
//
// None of them is needed to restore. It never replaces an object, and removes none
// but those of a backup that did not come to its end.
//
// A backup begins with its mark (comeback/unfinished), and ends with its manifest and
// the mark's removal. Whoever finds a dead one's mark settles it: what is not whole
// goes, with the parts of uploads and half files that no list shows, and what is whole
// gets its manifest, so that it is pruned in its time like any other. A mark is believed
// only as far as it names a backup of its own time, and nothing goes that the manifest of
// a backup names: who can put marks there cannot have others remove backups.
//
// Dead is one whose process has lost its hold on the component, as only who holds it in
// the same place knows; to everybody else one that has not renewed its mark for hours, or
// could never renew it, for days. What makes a backup whole is stored, and stays, only
// where its mark is its own and nobody can have taken it for dead: no list shows one of
// which somebody may have cleared a part away.
//
// Nothing goes while somebody needs it. Retention asks for what is kept before it
// removes each backup, and keeps with a backup all that this needs: the log from it on,
// what it is incremental to, packs. Kept is what the policy asks for; the newest, and
// the newest that each signer has proven or, where that is none, restored; and what a run restores. A run says so in the
// copy before its first step, renews that while it is at work, and takes it back when it
// has ended; what nobody renews ends by itself.
package backup
