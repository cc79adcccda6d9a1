package report

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
)

// Sum is one line of SHA256SUMS: a file of the run's directory, with forward
// slashes, and the lower-case hex SHA-256 of its bytes.
type Sum struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// documents are the files that every run has beside its artifacts, in the order
// of SHA256SUMS.
var documents = []string{JSONFile, MarkdownFile, journalFile, PlanFile, RunbookFile}

// formatSums writes what `sha256sum` writes.
func formatSums(sums []Sum) []byte {
	var b strings.Builder
	for _, s := range sums {
		b.WriteString(s.SHA256 + "  " + s.Name + "\n")
	}
	return []byte(b.String())
}

// parseSums reads SHA256SUMS more strictly than `sha256sum` does: only whole
// lines of a digest, two spaces and a plain name within the directory, no name
// twice, and every document there.
func parseSums(b []byte) ([]Sum, error) {
	broken := func(n int, format string, args ...any) error {
		return recovery.Errorf("get the directory as it was signed", "%s, line %d: %s", SumsFile, n, fmt.Sprintf(format, args...))
	}
	var sums []Sum
	seen := map[string]bool{}
	lines := strings.Split(string(b), "\n")
	if lines[len(lines)-1] != "" {
		return nil, broken(len(lines), "the last line has no end")
	}
	for i, line := range lines[:len(lines)-1] {
		sum, name, ok := strings.Cut(line, "  ")
		raw, err := hex.DecodeString(sum)
		switch {
		case !ok || err != nil || len(raw) != 32 || sum != strings.ToLower(sum):
			return nil, broken(i+1, "%q is not a SHA-256 digest, two spaces and a name", clip(line, 100))
		case !plainName(name):
			return nil, broken(i+1, "%q is not the name of a file of the run", clip(name, 100))
		case seen[name]:
			return nil, broken(i+1, "%s is named twice", name)
		}
		seen[name] = true
		sums = append(sums, Sum{Name: name, SHA256: sum})
	}
	for _, name := range documents {
		if !seen[name] {
			return nil, broken(len(lines)-1, "%s is not named", name)
		}
	}
	return sums, nil
}

// plainName reports whether a run's report may cover a file of this name: one
// of the documents, or a path below artifacts/ that `sha256sum` writes without
// escapes.
func plainName(name string) bool {
	if slices.Contains(documents, name) {
		return true
	}
	rest, ok := strings.CutPrefix(name, ArtifactsDir+"/")
	return ok && rest != "" && fs.ValidPath(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return r < ' ' || r == 0x7f || r == '\\' || r == 0xfffd
	})
}

// beside matches what may lie in a run's directory without being signed over:
// the signatures themselves, and what helps a reader to check them, which
// proves nothing.
var beside = pattern.New(`^(SHA256SUMS|SHA256SUMS\.sig|SHA256SUMS\.review-[0-9]+\.sig|allowed_signers|identity)$`)

// artifacts lists the files below artifacts/ in the order of their names.
func artifacts(dir string) ([]string, error) {
	names, err := walk(dir, ArtifactsDir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !plainName(name) {
			return nil, recovery.Errorf("rename it", "artifact %q has a name that SHA256SUMS cannot hold", name)
		}
	}
	return names, nil
}

// walk lists the files below a part of a directory, sorted; a part that is not
// there has none. What is neither file nor directory is refused.
func walk(dir, part string) ([]string, error) {
	var names []string
	root := filepath.Join(dir, part)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path == root && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if d.IsDir() {
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() {
			return recovery.Errorf("remove it: a report covers files, not what they point to", "%s is not a regular file", name)
		}
		names = append(names, filepath.ToSlash(name))
		return nil
	})
	if err != nil {
		var known *recovery.Error
		if errors.As(err, &known) {
			return nil, known
		}
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	slices.Sort(names)
	return names, nil
}

// intact checks every digest of SHA256SUMS, and that no file of the run is
// missing or was added. The error names the file.
func intact(dir string, sums []Sum) error {
	named := map[string]bool{}
	for _, s := range sums {
		named[s.Name] = true
		found, _, err := digestFile(dir, s.Name)
		if err != nil {
			return err
		}
		if found != s.SHA256 {
			return recovery.Errorf("get the file as it was written, or treat the report as worthless",
				"%s was changed: its SHA-256 is %s, SHA256SUMS says %s", s.Name, found, s.SHA256)
		}
	}
	names, err := walk(dir, ".")
	if err != nil {
		return err
	}
	for _, name := range names {
		if !named[name] && !beside.MatchString(name) {
			return recovery.Errorf("move it out of the run's directory", "%s was added: SHA256SUMS does not name it", name)
		}
	}
	return nil
}

// clip shortens a text for an error or a table.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// exists reports whether a file is there at all.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
