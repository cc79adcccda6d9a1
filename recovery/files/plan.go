package files

import (
	"encoding/json"
	"fmt"

	"comeback/recovery"
	"comeback/recovery/files/tree"
	"comeback/storage"
)

// form is what a backup of a tree is.
type form string

const (
	archiveForm  form = "archive"
	snapshotForm form = "snapshot"
)

// facts are what a survey keeps of a backup.
type facts struct {
	Form    form    `json:"form"`
	Packing packing `json:"packing,omitempty"`
	// Sealed says that it is encrypted with age; how it is packed shows then.
	Sealed bool `json:"sealed,omitempty"`
	// Root is the directory of an archive that is the tree; "" is all of it, or of a sealed
	// one that nothing is known of yet: Rooted says that the runbook tells it.
	Root   string `json:"root,omitempty"`
	Rooted bool   `json:"rooted,omitempty"`
	// ByName says that it was not opened: newer ones of its pattern were.
	ByName bool `json:"by_name,omitempty"`

	// Of a snapshot: where its objects lie, how much is in it, how much of that in holes, and,
	// once it is chosen, its parts.
	Prefix   string `json:"prefix,omitempty"`
	Dir      string `json:"dir,omitempty"`
	Files    int64  `json:"files,string,omitempty"`
	Bytes    int64  `json:"bytes,string,omitempty"`
	Holes    int64  `json:"holes,string,omitempty"`
	Manifest part   `json:"manifest,omitzero"`
	Packs    []part `json:"packs,omitempty"`
	// Excepted are files that it does not hold as they were.
	Excepted []excepted `json:"excepted,omitempty"`
}

func (f facts) says() string {
	says := map[form]string{archiveForm: "tar archive", snapshotForm: "snapshot"}[f.Form]
	if f.Packing != plain {
		says += ", " + string(f.Packing)
	}
	if f.Sealed {
		says += ", encrypted with age"
	}
	return says
}

func factsOf(b recovery.Backup) (facts, error) {
	var f facts
	if err := json.Unmarshal(b.Facts, &f); err != nil {
		return f, recovery.Errorf("survey the copy again", "read what the survey says of %s: %w", b.ID, err)
	}
	return f, nil
}

// args are what a restore is told.
type args struct {
	Component string            `json:"component"`
	Copy      string            `json:"copy"`
	Backup    string            `json:"backup"`
	Target    recovery.TargetID `json:"target"`
	Facts     facts             `json:"facts"`
	Objects   []storage.Object  `json:"objects"`
	Taken     recovery.Span     `json:"taken"`
	// Identity and Passphrase are references, or the name of a file; Live are the
	// paths that the tree is a copy of, as the runbook writes them.
	Identity   string   `json:"identity,omitempty"`
	Passphrase string   `json:"passphrase,omitempty"`
	Live       []string `json:"live,omitempty"`
}

// Plan is one step.
func (e engine) Plan(c recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	if !t.Scratch {
		return nil, recovery.Errorf("restore into scratch", "trees are restored into scratch only, and %s is live", t.ID).WithExit(recovery.Refused)
	}
	f, err := factsOf(p.Backup)
	if err != nil {
		return nil, err
	}
	if f.Sealed && c.Settings.Text("identity") == "" && c.Settings.Text("passphrase") == "" {
		return nil, recovery.Errorf("give the component an `identity` or a `passphrase` in the runbook",
			"%s is encrypted, and the runbook does not say what decrypts it", p.Backup.ID).WithExit(recovery.Usage)
	}
	size := p.Backup.Size()
	s := recovery.NewStep("restore", restoreKind{e}.Name(),
		fmt.Sprintf("restore %s (%s, %s)", p.Backup.ID, f.says(), recovery.FormatBytes(size)),
		args{Component: c.Name, Copy: p.Copy, Backup: p.Backup.ID, Target: t.ID, Facts: f, Objects: p.Backup.Objects, Taken: p.Backup.Taken,
			Identity: c.Settings.Text("identity"), Passphrase: c.Settings.Text("passphrase"), Live: e.livePaths(c)})
	for _, o := range p.Backup.Objects {
		s.Reads = append(s.Reads, recovery.Ref{Copy: p.Copy, Key: o.Key, Size: o.Size})
	}
	s.Component, s.Writes = c.Name, []recovery.TargetID{t.ID}
	s.Guards = []recovery.Guard{{Kind: recovery.GuardRoom, Target: t.ID, Bytes: roomFor(f, size)}}
	return []recovery.Step{s}, nil
}

// roomFor is how many bytes must be free: of a snapshot what is not in holes. What is uploaded
// is compressed mostly, and packs little further.
func roomFor(f facts, size int64) int64 {
	if f.Form == snapshotForm {
		return f.Bytes - f.Holes + f.Files*tree.Hole
	}
	if f.Packing == plain {
		return size
	}
	return size + size/2
}
