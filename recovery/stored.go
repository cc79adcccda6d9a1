package recovery

import (
	"fmt"
	"slices"
)

// AsStored is a backup of the survey, by an engine, held against the manifest beside it. It
// has a problem, and counts as damaged, where an object has another size than was stored or,
// where the engine tells, a part is gone. One that has a problem already keeps that.
func (s Survey) AsStored(e Engine, b Backup, m Manifest) Backup {
	if b.Problem != "" {
		return b
	}
	parts, _ := s.Gone(e, b, m)
	b.Problem = otherThanStored(b, m, parts)
	b.Damaged = b.Problem != ""
	return b
}

// otherThanStored says what of a backup is not as its manifest tells.
func otherThanStored(b Backup, m Manifest, gone []StoredObject) string {
	sizes := map[string]int64{}
	for _, o := range b.Objects {
		sizes[o.Key] = o.Size
	}
	for _, o := range m.Objects {
		is, ok := sizes[o.Key]
		switch {
		case ok && is != o.Size:
			return fmt.Sprintf("%s has %d bytes, and %d were stored", o.Key, is, o.Size)
		case slices.Contains(gone, o):
			return o.Key + " is gone, which was stored"
		}
	}
	return ""
}

// Gone asks the engine of the survey what of a backup is not there any more. It is nothing
// where the engine does not tell, or the survey cannot have seen all of the backup.
func (s Survey) Gone(e Engine, b Backup, m Manifest) (parts, roles []StoredObject) {
	i, ok := e.(Itemizer)
	if !ok || m.Engine != s.Engine || s.Before(m) {
		return nil, nil
	}
	return i.Gone(b, m)
}

// Before reports whether a backup had not ended when the survey began: parts of it may have
// come behind the survey.
func (s Survey) Before(m Manifest) bool {
	return !s.At.IsZero() && !m.Ended.Before(s.At)
}
