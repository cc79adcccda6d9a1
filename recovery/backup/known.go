package backup

import (
	"context"
	"maps"
	"slices"

	"comeback/recovery"
	"comeback/storage"
)

// Knowledge is what a copy knows of its backups, as far as it could be read.
type Knowledge struct {
	// Manifests are those of all backups, the oldest first, without their tables.
	Manifests []recovery.Manifest
	// Unread is how many manifests could not be read, the oldest where the time was
	// over; Err is why, nil where none is.
	Unread int
	Err    error
	// Remember is what the next look needs not to read again.
	Remember Remembered
}

// Remembered are manifests that were read before, by the keys of their objects.
type Remembered map[string]RememberedManifest

// Same reports whether two looks have seen the same revisions.
func (r Remembered) Same(other Remembered) bool {
	return maps.EqualFunc(r, other, func(a, b RememberedManifest) bool { return a.Revision == b.Revision })
}

// RememberedManifest is a manifest, and the revision of its object that it was read of.
type RememberedManifest struct {
	Revision string            `json:"revision"`
	Manifest recovery.Manifest `json:"manifest"`
}

// mostFailures is how many manifests may fail before no others are tried.
const mostFailures = 16

// Know reads what a copy knows of its backups, but for what was read before and has not
// changed since: several manifests side by side, the newest first. That some cannot be
// read, or that ctx ends, is no failure of the copy; an error is that it could not be
// listed.
func Know(ctx context.Context, s storage.Store, before Remembered) (Knowledge, error) {
	objects, err := listManifests(ctx, s, "")
	if err != nil {
		return Knowledge{}, err
	}
	k := Knowledge{Remember: Remembered{}}
	var anew []storage.Object
	for _, o := range objects {
		if r, ok := before[o.Key]; ok && o.Revision != "" && r.Revision == o.Revision && r.Manifest.ID != "" && r.Manifest.Component != "" {
			k.Remember[o.Key] = r
			k.Manifests = append(k.Manifests, r.Manifest)
		} else {
			anew = append(anew, o)
		}
	}
	slices.SortStableFunc(anew, func(a, b storage.Object) int { return b.Modified.Compare(a.Modified) })
	settled, failures := 0, 0
	for r := range readManifests(ctx, s, anew) {
		if r.err != nil && stored(r.err) {
			if failures++; k.Err == nil {
				k.Err = r.err
			}
			if failures == mostFailures || ctx.Err() != nil {
				break
			}
			continue
		}
		if settled++; r.err == nil {
			r.Tables, r.LastCounted = nil, nil
			k.Manifests = append(k.Manifests, r.Manifest)
			k.Remember[r.object.Key] = RememberedManifest{r.object.Revision, r.Manifest}
		}
	}
	k.Unread = len(anew) - settled
	oldestFirst(k.Manifests)
	return k, nil
}
