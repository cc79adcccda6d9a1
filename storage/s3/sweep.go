package s3

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"comeback/storage"
)

var _ storage.Sweeper = (*store)(nil)

// Sweep gives up the unfinished uploads of keys that begin with prefix, and their
// parts with them. It asks for s3:ListBucketMultipartUploads and
// s3:AbortMultipartUpload: ErrDenied says that these credentials lack them.
func (s *store) Sweep(ctx context.Context, prefix string) error {
	list := s3.NewListMultipartUploadsPaginator(s.client, &s3.ListMultipartUploadsInput{Bucket: &s.bucket, Prefix: s.key(prefix)})
	for list.HasMorePages() {
		page, err := list.NextPage(ctx)
		if err != nil {
			return s.refusal(ctx, "look for unfinished uploads of", prefix, err)
		}
		for _, u := range page.Uploads {
			if !strings.HasPrefix(aws.ToString(u.Key), *s.key(prefix)) { // not every service filters
				continue
			}
			_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.bucket, Key: u.Key, UploadId: u.UploadId})
			if err != nil && code(err) != "NoSuchUpload" {
				return s.refusal(ctx, "give up an unfinished upload of", prefix, err)
			}
		}
	}
	return nil
}
