package s3

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"comeback/storage"
)

var _ storage.Versioner = (*store)(nil)

// Versioning asks for the bucket's state and for the shortest time after which
// a rule removes versions below a prefix. A service without rules tells of none; one that
// does not show them to the caller hides them.
func (s *store) Versioning(ctx context.Context, prefix string) (storage.Versioning, error) {
	state, err := s.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &s.bucket})
	if err != nil {
		return storage.Versioning{}, s.refusal(ctx, "list", "", err)
	}
	v := storage.Versioning{On: state.Status == types.BucketVersioningStatusEnabled}
	rules, err := s.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &s.bucket})
	if err != nil {
		switch code(err) {
		case "AccessDenied":
			v.Hidden = true
			return v, nil
		case "NoSuchLifecycleConfiguration", "NotImplemented", "MethodNotAllowed":
			return v, nil
		}
		return v, s.refusal(ctx, "list", "", err)
	}
	for _, r := range rules.Rules {
		if r.Status != types.ExpirationStatusEnabled || r.NoncurrentVersionExpiration == nil || !touches(r, *s.key(prefix)) {
			continue
		}
		expires := time.Duration(aws.ToInt32(r.NoncurrentVersionExpiration.NoncurrentDays)) * 24 * time.Hour
		if v.Expires == 0 || expires < v.Expires {
			v.Expires = expires
		}
	}
	return v, nil
}

// touches reports whether a rule can be one for objects below a prefix of the bucket. Which
// tags and sizes they have is not known.
func touches(r types.LifecycleRule, prefix string) bool {
	//lint:ignore SA1019 old rules have it in place of a filter
	of := aws.ToString(r.Prefix)
	if f := r.Filter; f != nil {
		of = aws.ToString(f.Prefix)
		if f.And != nil {
			of = aws.ToString(f.And.Prefix)
		}
	}
	return strings.HasPrefix(of, prefix) || strings.HasPrefix(prefix, of)
}

// Versions asks for pages while others are consumed. Of one key versions and marks of
// deletion are put together by their times, which are whole seconds in a list, and within one
// by the order in which the service writes them; where it writes them apart, that is not
// known. A time counts for more than that order, because the service's own is by it: of an
// object that came in parts S3 takes, in both, when its upload began, whatever was stored
// before it ended. A version that a service repeats comes once.
func (s *store) Versions(ctx context.Context, prefix string) iter.Seq2[storage.Version, error] {
	return func(yield func(storage.Version, error) bool) {
		var same []storage.Version // of the key whose versions may go on on the next page
		whole := s.listVersions(ctx, prefix, func(page []storage.Version, err error) bool {
			if err != nil {
				return yield(storage.Version{}, s.refusal(ctx, "list", "", err))
			}
			for _, v := range page {
				if len(same) > 0 && same[0].Key != v.Key {
					if !yieldKey(same, yield) {
						return false
					}
					same = nil
				}
				same = append(same, v)
			}
			return true
		})
		if whole {
			yieldKey(same, yield)
		}
	}
}

// marker is the key behind which a list goes on. It is written as the keys are, and asked
// for as it is; some services (releases of Ceph's) write it as it is, too, which shows where
// it is the last key of its page.
func marker(page *s3.ListObjectVersionsOutput) string {
	written := aws.ToString(page.NextKeyMarker)
	key, err := unescaped(written, page.EncodingType)
	if err != nil {
		return written
	}
	var last []*string
	if n := len(page.Versions); n > 0 {
		last = append(last, page.Versions[n-1].Key)
	}
	if n := len(page.DeleteMarkers); n > 0 {
		last = append(last, page.DeleteMarkers[n-1].Key)
	}
	for _, k := range last {
		if aws.ToString(k) == written {
			return key
		}
	}
	for _, k := range last {
		if plain, err := unescaped(aws.ToString(k), page.EncodingType); err == nil && plain == written {
			return written
		}
	}
	return key
}

// versionsOf gathers a page, in the order of the keys, and of each in the page's own.
func (s *store) versionsOf(page *s3.ListObjectVersionsOutput) ([]storage.Version, error) {
	var all []storage.Version
	add := func(key, etag, id *string, size *int64, modified *time.Time, latest *bool, class string, deleted bool) error {
		name, err := unescaped(aws.ToString(key), page.EncodingType)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, *s.key(""))
		if name == "" || strings.HasSuffix(name, "/") && aws.ToInt64(size) == 0 {
			return nil
		}
		all = append(all, storage.Version{Deleted: deleted, Latest: aws.ToBool(latest), Unversioned: aws.ToString(id) == "null", Object: storage.Object{
			Key: name, Size: aws.ToInt64(size), Modified: aws.ToTime(modified).UTC(), Revision: revision(etag), Version: aws.ToString(id), Archived: archived(class)}})
		return nil
	}
	versions, marks := page.Versions, page.DeleteMarkers
	deletions, told := page.ResultMetadata.Get(deletionsOf{}).([]bool)
	if !told {
		deletions = append(make([]bool, len(versions)), slices.Repeat([]bool{true}, len(marks))...)
	}
	for _, deleted := range deletions {
		var err error
		if deleted {
			m := marks[0]
			marks = marks[1:]
			err = add(m.Key, nil, m.VersionId, nil, m.LastModified, m.IsLatest, "", true)
		} else {
			v := versions[0]
			versions = versions[1:]
			err = add(v.Key, v.ETag, v.VersionId, v.Size, v.LastModified, v.IsLatest, string(v.StorageClass), false)
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b storage.Version) int { return cmp.Compare(a.Key, b.Key) })
	if apart(deletions) {
		tie(all)
	}
	return all, nil
}

// apart reports whether a page has its versions and its marks of deletion one after the
// other, so that its order tells nothing of which came first.
func apart(deletions []bool) bool {
	changes := 0
	for i := range deletions {
		if i > 0 && deletions[i] != deletions[i-1] {
			changes++
		}
	}
	return changes == 1
}

// tie finds the versions that have the time of a mark of deletion of their key.
func tie(all []storage.Version) {
	type moment struct {
		key string
		at  int64
	}
	of := func(v storage.Version) moment { return moment{v.Key, v.Modified.UnixNano()} }
	tied := map[moment]bool{} // of each mark, whether a version has its time
	for _, v := range all {
		if v.Deleted {
			tied[of(v)] = false
		}
	}
	for _, v := range all {
		if _, marked := tied[of(v)]; marked && !v.Deleted {
			tied[of(v)] = true
		}
	}
	for i, v := range all {
		all[i].Tied = tied[of(v)]
	}
}

// yieldKey yields the versions of one key, the newest first, which the service names.
// Where times are the same its order stands.
func yieldKey(same []storage.Version, yield func(storage.Version, error) bool) bool {
	if len(same) == 1 {
		return yield(same[0], nil)
	}
	slices.SortStableFunc(same, func(a, b storage.Version) int {
		if a.Latest != b.Latest {
			if a.Latest {
				return -1
			}
			return 1
		}
		return b.Modified.Compare(a.Modified)
	})
	seen := map[string]bool{}
	for _, v := range same {
		if seen[v.Version] {
			continue
		}
		seen[v.Version] = true
		if !yield(v, nil) {
			return false
		}
	}
	return true
}
