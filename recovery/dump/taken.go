package dump

import (
	"path"

	"comeback/recovery"
	"comeback/storage"
)

// takenOf is the moment of a dump, its start, as far as it is known. The start
// lies before the object was stored: that is the end of the range, whatever
// else is known. Its beginning comes from the clock that the dump names, else
// from a date in the object's name; both are without a zone mostly.
func takenOf(h head, o storage.Object) recovery.Span {
	s := recovery.Span{To: o.Modified.UTC()}
	switch {
	case !h.Clock.IsZero() && h.Zoned:
		return recovery.Span{From: h.Clock, To: h.Clock}.StoredBy(s.To)
	case !h.Clock.IsZero():
		return s.Narrowed(h.Clock.Add(-recovery.AheadOfUTC), h.Clock.Add(recovery.BehindOfUTC))
	}
	return s.NarrowedByName(path.Base(o.Key))
}

// when writes a span for people.
func when(s recovery.Span) string { return s.Says() }
