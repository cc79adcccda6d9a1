package report

import (
	"time"

	"comeback/recovery"
)

// Moment is the point that was asked for, and the one that was reached.
type Moment struct {
	Want recovery.Want `json:"want"`
	// Anchor is the component that decides.
	Anchor     string      `json:"anchor"`
	Components []Component `json:"components"`
}

// Component is one component's point: what was resolved before the long copy,
// the backup that it comes from, and the proof that it was reached.
type Component struct {
	Component string                 `json:"component"`
	Kind      recovery.ComponentKind `json:"kind"`
	Requested Requested              `json:"requested"`
	// Reached is null where no step gave a proof.
	Reached *recovery.Reached `json:"reached"`
	Backup  Backup            `json:"backup"`
}

// Requested is a resolved point.
type Requested struct {
	Says      string             `json:"says"`
	Exactness recovery.Exactness `json:"exactness"`
	Time      time.Time          `json:"time,omitzero"`
	Kept      recovery.Commit    `json:"kept,omitzero"`
	Lost      recovery.Commit    `json:"lost,omitzero"`
	Timeline  uint32             `json:"timeline,omitempty"`
	Stop      recovery.LSN       `json:"stop,omitempty"`
	Inclusive bool               `json:"inclusive,omitempty"`
	Warnings  []string           `json:"warnings,omitempty"`
}

// Backup is what a component was restored from.
type Backup struct {
	ID     string `json:"id"`
	Copy   string `json:"copy"`
	Place  string `json:"place"`
	Engine string `json:"engine"`
	Form   string `json:"form"`
	// Taken is the moment of its content.
	Taken recovery.Span `json:"taken"`
	// Size is what its objects hold, Read what had to be read of the copy
	// (log included) to reach the point, both in bytes.
	Size    int64             `json:"size,string"`
	Read    int64             `json:"read,string"`
	Objects []Object          `json:"objects"`
	Details map[string]string `json:"details,omitempty"`
}

// Object is one object of a backup, as its store describes it. Modified is the
// store's own clock; Checksum is empty where the store keeps none.
type Object struct {
	Key      string    `json:"key"`
	Size     int64     `json:"size,string"`
	Modified time.Time `json:"modified"`
	Revision string    `json:"revision"`
	Checksum string    `json:"checksum,omitempty"`
}

func (s *source) moment() Moment {
	m := Moment{Want: s.state.Moment.Want, Anchor: s.state.Moment.Anchor, Components: []Component{}}
	m.Want.Time = m.Want.Time.UTC()
	for _, p := range s.state.Moment.Points {
		c := Component{Component: p.Component, Requested: Requested{
			Says: p.Says, Exactness: p.Exactness, Time: p.Time.UTC(), Kept: utcCommit(p.Kept), Lost: utcCommit(p.Lost),
			Timeline: p.Timeline, Stop: p.Stop, Inclusive: p.Inclusive, Warnings: p.Warnings,
		}}
		c.Backup = s.backup(p)
		for _, component := range s.plan.Components {
			if component.Name == p.Component {
				c.Kind = component.Kind
			}
		}
		for _, reached := range s.state.Reached() {
			if reached.Component == p.Component {
				reached.Time = reached.Time.UTC()
				reached.Evidence = list(reached.Evidence)
				c.Reached = &reached
			}
		}
		m.Components = append(m.Components, c)
	}
	return m
}

func (s *source) backup(p recovery.Point) Backup {
	b := Backup{ID: p.Backup.ID, Copy: p.Copy, Engine: p.Engine, Form: p.Backup.Form,
		Taken: recovery.Span{From: p.Backup.Taken.From.UTC(), To: p.Backup.Taken.To.UTC()},
		Size:  p.Backup.Size(), Read: p.Bytes, Objects: []Object{}, Details: p.Backup.Details}
	for _, o := range p.Backup.Objects {
		b.Objects = append(b.Objects, Object{Key: o.Key, Size: o.Size, Modified: o.Modified.UTC(), Revision: o.Revision, Checksum: o.Checksum})
	}
	for _, c := range s.plan.Copies {
		if c.Name == p.Copy {
			b.Place = c.URL
		}
	}
	return b
}

func utcCommit(c recovery.Commit) recovery.Commit {
	c.Time = c.Time.UTC()
	return c
}
