package s3

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"comeback/storage"
)

// pageSize is how many objects one answer holds at most.
const pageSize = 1000

// List leaves out the empty objects that consoles make to show a folder, whose keys end
// in a slash.
func (s *store) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	ask := func(ctx context.Context, at place) ([]storage.Object, place, error) {
		page, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
			Bucket:            &s.bucket,
			Prefix:            s.key(prefix),
			MaxKeys:           aws.Int32(pageSize),
			EncodingType:      types.EncodingTypeUrl, // XML cannot hold every key
			ContinuationToken: optional(at.key),
		})
		if err != nil {
			return nil, place{}, err
		}
		if page.Name == nil { // any XML would pass for an empty list
			return nil, place{}, s.noList("the answer is not that of an S3 service")
		}
		found := make([]storage.Object, 0, len(page.Contents))
		for _, f := range page.Contents {
			o, err := s.listed(f, page.EncodingType)
			if err != nil {
				return nil, place{}, err
			}
			if o.Key != "" && (!strings.HasSuffix(o.Key, "/") || o.Size > 0) {
				found = append(found, o)
			}
		}
		if !aws.ToBool(page.IsTruncated) {
			return found, place{}, nil
		}
		next := place{key: aws.ToString(page.NextContinuationToken)}
		return found, next, s.goesOn(at, next)
	}
	return func(yield func(storage.Object, error) bool) {
		for page, err := range ahead(ctx, ask, s.again) {
			if err != nil {
				yield(storage.Object{}, s.refusal(ctx, "list", "", err))
				return
			}
			for _, o := range page {
				if err := ctx.Err(); err != nil {
					yield(storage.Object{}, s.refusal(ctx, "list", "", err))
					return
				}
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}

// place is where a list goes on: a token, or a key and a version of it. The zero place
// is its beginning, and its end.
type place struct{ key, version string }

// noList is an answer that is no list.
func (s *store) noList(says string) error {
	return &storage.Error{Op: "list", Object: s.URL(), Kind: storage.ErrConfig, Says: says}
}

// goesOn refuses a list that tells of more and not where, or of the same again: it would
// end too early, or never.
func (s *store) goesOn(at, next place) error {
	if next.key == "" || next == at {
		return s.noList("the service says that its list goes on, and not from where; it cannot be read to its end")
	}
	return nil
}

// ahead gives the pages of a list, each of which says where the next one begins. From the
// second on it asks for the next one while one is looked at: a large bucket has many, and
// a page takes its time to come and to be read. One that did not come it asks for as often as
// again allows.
func ahead[P any](ctx context.Context, ask func(context.Context, place) (P, place, error), again func(ctx context.Context, tried int, err error) bool) iter.Seq2[P, error] {
	type answer struct {
		page P
		err  error
	}
	return func(yield func(P, error) bool) {
		first, next, err := ask(ctx, place{})
		if !yield(first, err) || err != nil || next == (place{}) {
			return
		}
		asking, stop := context.WithCancel(ctx)
		answers, unwanted := make(chan answer), make(chan struct{})
		go func() {
			defer close(answers)
			for next != (place{}) {
				var a answer
				at := next
				for tried := 0; ; tried++ {
					if a.page, next, a.err = ask(asking, at); a.err == nil || !again(asking, tried, a.err) {
						break
					}
				}
				select {
				case answers <- a:
				case <-unwanted:
					return
				}
				if a.err != nil {
					return
				}
			}
		}()
		defer func() { // nobody is left who asks
			close(unwanted)
			stop()
			for range answers {
			}
		}()
		for a := range answers {
			if !yield(a.page, a.err) {
				return
			}
		}
	}
}

// pagePauses come before a page after the first is asked for again that did not come, by a
// client which has tried several times: who has read half a million objects goes on with the next.
var pagePauses = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second}

// again pauses before a page is asked for again; false where it was refused, and where it was
// asked for often enough.
func (s *store) again(ctx context.Context, tried int, err error) bool {
	if tried >= len(s.pauses) || !errors.Is(s.refusal(ctx, "list", "", err), storage.ErrUnavailable) {
		return false
	}
	select {
	case <-time.After(s.pauses[tried]):
		return true
	case <-ctx.Done():
		return false
	}
}

// listed is an object as a page has it.
func (s *store) listed(found types.Object, encoding types.EncodingType) (storage.Object, error) {
	key, err := unescaped(aws.ToString(found.Key), encoding)
	if err != nil {
		return storage.Object{}, err
	}
	return storage.Object{
		Key:      strings.TrimPrefix(key, *s.key("")),
		Size:     aws.ToInt64(found.Size),
		Modified: aws.ToTime(found.LastModified).UTC(),
		Revision: revision(found.ETag),
		Archived: archived(string(found.StorageClass)),
	}, nil
}

// archived is a class from which an object has to be restored before it can be read; "" for
// every other. Of an object that a service moves by itself lists do not tell it.
func archived(class string) string {
	switch types.StorageClass(class) {
	case types.StorageClassGlacier, types.StorageClassDeepArchive:
		return class
	}
	return ""
}

// unescaped is a key as it is, where an answer has it in an encoding.
func unescaped(key string, encoding types.EncodingType) (string, error) {
	if encoding != types.EncodingTypeUrl {
		return key, nil
	}
	return url.QueryUnescape(key)
}

// revision is the ETag without its quotes. For the parts of a multipart upload
// and for encrypted objects it is no hash, but it changes with the bytes.
func revision(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }
