package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"comeback/recovery"
)

// Write makes the report of a run that has ended and writes report.json,
// report.md and, last, SHA256SUMS. Doing it again gives the same bytes. A crash
// leaves the files of before or the new ones, and SHA256SUMS of before until
// all else is durable. Once the report is signed it is not changed any more:
// where it would be, Write fails and says so.
func Write(dir string) (*Report, error) {
	r, err := Make(dir)
	if err != nil {
		return nil, err
	}
	if !r.Ended() {
		return nil, recovery.Errorf("wait until it has ended, or: comeback stop "+r.Run, "run %s has not ended: there is no report yet", r.Run).WithExit(recovery.NotEnded)
	}
	files, err := render(r, dir)
	if err != nil {
		return nil, err
	}
	if exists(filepath.Join(dir, SignatureFile)) {
		return r, unchanged(dir, r, files)
	}
	removeTemps(dir)
	for _, f := range files {
		if err := replaceFile(dir, f.name, f.bytes); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// file is a file to be written.
type file struct {
	name  string
	bytes []byte
}

// render gives the files of a report in the order of their writing.
func render(r *Report, dir string) ([]file, error) {
	asJSON, err := r.JSON()
	if err != nil {
		return nil, err
	}
	markdown := r.Markdown()
	journalSum, _, err := digestFile(dir, journalFile)
	if err != nil {
		return nil, err
	}
	sums := []Sum{
		{JSONFile, digest(asJSON)},
		{MarkdownFile, digest(markdown)},
		{journalFile, journalSum},
		{PlanFile, r.Plan.SHA256},
		{RunbookFile, r.Runbook.SHA256},
	}
	for _, a := range r.Artifacts {
		sums = append(sums, Sum{a.File, a.SHA256})
	}
	return []file{{JSONFile, asJSON}, {MarkdownFile, markdown}, {SumsFile, formatSums(sums)}}, nil
}

// unchanged reports whether a signed report is still what its run tells.
func unchanged(dir string, r *Report, files []file) error {
	for _, f := range files {
		stored, err := readDocument(dir, f.name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !bytes.Equal(stored, f.bytes) {
			return recovery.Errorf(fmt.Sprintf("keep it as it is; what followed it is a run of its own. To see what changed: comeback report verify %s", r.Run),
				"the report of run %s is signed, and %s would change", r.Run, f.name)
		}
	}
	return nil
}

// Read is the report of a run as it was written, which proves nothing: Verify does. The
// error is fs.ErrNotExist where the run has none.
func Read(dir string) (*Report, error) {
	b, err := readDocument(dir, JSONFile)
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, recovery.Errorf("get the file as it was written", "read %s: %w", JSONFile, err)
	}
	return &r, nil
}
