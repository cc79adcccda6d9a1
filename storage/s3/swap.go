package s3

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"comeback/storage"
)

var (
	_ storage.Swapper = (*store)(nil)
	_ storage.Clock   = (*store)(nil)
)

// Swap stores with If-Match. A service that does not know the condition stores
// all the same and says nothing: whoever relies on it tries it first with a
// revision that has passed.
func (s *store) Swap(ctx context.Context, old storage.Object, body []byte) (storage.Object, error) {
	if err := s.swappable("swap", old); err != nil {
		return storage.Object{}, err
	}
	out, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:            &s.bucket,
		Key:               s.key(old.Key),
		Body:              bytes.NewReader(body),
		ContentLength:     aws.Int64(int64(len(body))),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
		IfMatch:           etag(old.Revision),
	})
	if err != nil {
		return storage.Object{}, s.refusal(ctx, "swap", old.Key, err)
	}
	return storage.Object{
		Key:      old.Key,
		Size:     int64(len(body)),
		Modified: serverTime(out.ResultMetadata),
		Revision: revision(out.ETag),
		Version:  version(out.VersionId),
		Checksum: checksum(out.ChecksumType, checksums{0: out.ChecksumCRC64NVME}),
	}, nil
}

// Remove deletes with If-Match, and without a version: where the bucket keeps
// versions nothing is lost.
func (s *store) Remove(ctx context.Context, old storage.Object) error {
	if err := s.swappable("remove", old); err != nil {
		return err
	}
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.key(old.Key), IfMatch: etag(old.Revision)})
	if err == nil {
		return nil
	}
	refusal := s.refusal(ctx, "remove", old.Key, err)
	// Services differ in what they say of a condition on what is not there.
	if errors.Is(refusal, storage.ErrNotExist) {
		return nil
	}
	if errors.Is(refusal, storage.ErrChanged) {
		if _, err := s.Stat(ctx, old.Key); errors.Is(err, storage.ErrNotExist) {
			return nil
		}
	}
	return refusal
}

// swappable refuses what would be stored or removed without a condition.
func (s *store) swappable(op string, old storage.Object) error {
	if err := storage.CheckKey(old.Key); err != nil {
		return &storage.Error{Op: op, Object: s.URL(), Says: err.Error(), Err: err}
	}
	if old.Revision == "" {
		return &storage.Error{Op: op, Object: s.name(old.Key), Kind: storage.ErrConfig, Says: "the revision to replace is not known"}
	}
	return nil
}

// Now is the time that the service gives with its answers, also with those that
// refuse.
func (s *store) Now(ctx context.Context) (time.Time, error) {
	out, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.bucket})
	if err == nil {
		if t, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
			return t.UTC(), nil
		}
		return time.Time{}, &storage.Error{Op: "ask the time of", Object: s.URL(), Kind: storage.ErrConfig, Says: "the service does not give its time"}
	}
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && answer.Response != nil {
		if t, err := http.ParseTime(answer.Response.Header.Get("Date")); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, s.refusal(ctx, "ask the time of", "", err)
}
