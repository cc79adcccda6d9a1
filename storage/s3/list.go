package s3

import (
	"context"
	"iter"
	"net/url"
	"strings"

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
	return func(yield func(storage.Object, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{
			Bucket:       &s.bucket,
			Prefix:       s.key(prefix),
			MaxKeys:      aws.Int32(pageSize),
			EncodingType: types.EncodingTypeUrl, // XML cannot hold every key
		})
		for page, err := range ahead(ctx, pages) {
			if err != nil {
				yield(storage.Object{}, s.refusal(ctx, "list", "", err))
				return
			}
			if page.Name == nil { // any XML would pass for an empty list
				yield(storage.Object{}, &storage.Error{Op: "list", Object: s.URL(), Kind: storage.ErrConfig,
					Says: "the answer is not that of an S3 service"})
				return
			}
			for _, found := range page.Contents {
				if err := ctx.Err(); err != nil {
					yield(storage.Object{}, s.refusal(ctx, "list", "", err))
					return
				}
				o, err := s.listed(found, page.EncodingType)
				if err != nil {
					yield(storage.Object{}, s.refusal(ctx, "list", "", err))
					return
				}
				if o.Key == "" || strings.HasSuffix(o.Key, "/") && o.Size == 0 {
					continue
				}
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}

// ahead gives pages. From the second on it asks for the next one while one is looked at:
// a large bucket has many, and a page takes its time to come and to be read.
func ahead(ctx context.Context, pages *s3.ListObjectsV2Paginator) iter.Seq2[*s3.ListObjectsV2Output, error] {
	type answer struct {
		page *s3.ListObjectsV2Output
		err  error
	}
	return func(yield func(*s3.ListObjectsV2Output, error) bool) {
		if first, err := pages.NextPage(ctx); !yield(first, err) || err != nil || !pages.HasMorePages() {
			return
		}
		asking, stop := context.WithCancel(ctx)
		answers, unwanted := make(chan answer), make(chan struct{})
		go func() {
			defer close(answers)
			for pages.HasMorePages() {
				var a answer
				a.page, a.err = pages.NextPage(asking)
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

// listed is an object as a page has it.
func (s *store) listed(found types.Object, encoding types.EncodingType) (storage.Object, error) {
	key := aws.ToString(found.Key)
	if encoding == types.EncodingTypeUrl {
		var err error
		if key, err = url.QueryUnescape(key); err != nil {
			return storage.Object{}, err
		}
	}
	return storage.Object{
		Key:      strings.TrimPrefix(key, *s.key("")),
		Size:     aws.ToInt64(found.Size),
		Modified: aws.ToTime(found.LastModified).UTC(),
		Revision: revision(found.ETag),
	}, nil
}

// revision is the ETag without its quotes. For the parts of a multipart upload
// and for encrypted objects it is no hash, but it changes with the bytes.
func revision(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }
