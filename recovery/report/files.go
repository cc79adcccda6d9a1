package report

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"comeback/durable"
	"comeback/recovery"
	"comeback/recovery/journal"
)

// The files of a run's directory, as reports name them.
const (
	PlanFile      = recovery.PlanFile
	RunbookFile   = recovery.RunbookFile
	JSONFile      = recovery.ReportFile
	MarkdownFile  = recovery.PageFile
	SumsFile      = recovery.SumsFile
	SignatureFile = recovery.SignatureFile
	ArtifactsDir  = recovery.ArtifactsDir

	journalFile = journal.Name
)

// maxDocument bounds what is read into memory: the plan, the runbook and the
// reports. Artifacts and the journal's digest are streamed.
const maxDocument = 256 << 20

// readDocument reads a regular file of a run's directory.
func readDocument(dir, name string) ([]byte, error) {
	f, err := openRegular(dir, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(b) > maxDocument {
		return nil, recovery.Errorf("look at what wrote it", "%s is larger than %s", name, recovery.FormatBytes(maxDocument))
	}
	return b, nil
}

// openRegular opens a file of a run's directory; links and devices are refused,
// because what they lead to is not part of the run.
func openRegular(dir, name string) (*os.File, error) {
	path := filepath.Join(dir, filepath.FromSlash(name))
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, recovery.Errorf("get the whole directory of the run, with every file as it was written", "%s is missing: %w", name, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case !info.Mode().IsRegular():
		return nil, recovery.Errorf("get the whole directory of the run, with every file as it was written", "%s is not a regular file", name)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return f, nil
}

// digestFile streams a file of a run's directory through SHA-256.
func digestFile(dir, name string) (sum string, size int64, err error) {
	f, err := openRegular(dir, name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return "", 0, fmt.Errorf("read %s: %w", name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// replaceFile makes name hold b, or leaves what was there; it is durable when
// replaceFile returns. A crash leaves a temporary file at most.
func replaceFile(dir, name string, b []byte) error {
	temp, err := writeTemp(dir, name, b)
	if err != nil {
		return err
	}
	if err := durable.Rename(temp, filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// createFile is replaceFile for a name that must not exist; the error is
// fs.ErrExist where it does.
func createFile(dir, name string, b []byte) error {
	temp, err := writeTemp(dir, name, b)
	if err != nil {
		return err
	}
	err = os.Link(temp, filepath.Join(dir, name))
	os.Remove(temp)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return durable.SyncDir(dir)
}

// tempPrefix begins the names of files under way.
const tempPrefix = ".writing-"

// removeTemps removes what an interrupted write has left.
func removeTemps(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, tempPrefix+"*"))
	for _, path := range left {
		os.Remove(path)
	}
}

// writeTemp writes a file for its owner alone, or in a run's directory for those who may
// read the run's journal: in a shared state these are the colleagues, who verify it.
func writeTemp(dir, name string, b []byte) (string, error) {
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(filepath.Join(dir, journalFile)); err == nil {
		mode = info.Mode().Perm()
	}
	temp, err := durable.Temp(dir, tempPrefix, mode, b)
	if err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	return temp, nil
}
