package report

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// versions collects what the run and its backups say about programs: every
// fact whose name speaks of a version, each once.
func (s *source) versions() []Fact {
	version := s.state.Version
	if version == "" {
		version = "unknown"
	}
	facts := []Fact{{Name: "comeback", Value: version, From: "the runner"}}
	add := func(from string, values map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(values)) {
			f := Fact{Name: name, Value: values[name], From: from}
			if strings.Contains(strings.ToLower(name), "version") && !slices.Contains(facts, f) {
				facts = append(facts, f)
			}
		}
	}
	for _, p := range s.state.Moment.Points {
		add("backup "+p.Backup.ID, p.Backup.Details)
	}
	for i := range s.state.Steps {
		add(s.state.Steps[i].Says, s.state.Steps[i].Outcome.Facts)
	}
	return facts
}

// readArtifacts digests what is kept with the report, and joins it with the
// steps that recorded it.
func (s *source) readArtifacts(dir string) ([]Artifact, error) {
	names, err := artifacts(dir)
	if err != nil {
		return nil, err
	}
	var out []Artifact
	for _, name := range names {
		sum, size, err := digestFile(dir, name)
		if err != nil {
			return nil, err
		}
		a := Artifact{File: name, Size: size, SHA256: sum}
		if r, ok := s.history.recorded[strings.TrimPrefix(name, ArtifactsDir+"/")]; ok {
			a.Step, a.Unfinished = r.step, r.unfinished
		}
		out = append(out, a)
	}
	return out, nil
}

// lostArtifacts lists the artifacts that are not what the journal names.
func (s *source) lostArtifacts() []string {
	found := map[string]string{}
	for _, a := range s.artifacts {
		found[a.File] = a.SHA256
	}
	var lost []string
	for _, name := range slices.Sorted(maps.Keys(s.history.recorded)) {
		file := path.Join(ArtifactsDir, name)
		switch sum, ok := found[file]; {
		case !ok:
			lost = append(lost, file+" is missing")
		case sum != s.history.recorded[name].SHA256:
			lost = append(lost, file+" is not what its step recorded")
		}
	}
	return lost
}
