package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"comeback/storage"
)

// Stat asks with HEAD. The answer to a HEAD that fails has no words, so the
// same question is asked once more with GET, whose answer has: only it can tell
// a missing key from a missing bucket, and say why access is denied.
func (s *store) Stat(ctx context.Context, key string) (storage.Object, error) {
	if err := checkRead(key); err != nil {
		return storage.Object{}, &storage.Error{Op: "stat", Object: s.URL(), Says: err.Error(), Err: err}
	}
	o := storage.Object{Key: key}
	out, err := s.head(ctx, o)
	if err != nil {
		if err = s.words(ctx, o, err); err == nil { // it has come meanwhile
			out, err = s.head(ctx, o)
		}
	}
	if err != nil {
		return storage.Object{}, s.refusal(ctx, "stat", key, err)
	}
	in := cmp.Or(archived(string(out.StorageClass)), string(out.ArchiveStatus))
	if strings.Contains(aws.ToString(out.Restore), `ongoing-request="false"`) { // it was, for a while
		in = ""
	}
	return storage.Object{
		Key:      key,
		Archived: in,
		Size:     aws.ToInt64(out.ContentLength),
		Modified: aws.ToTime(out.LastModified).UTC(),
		Revision: revision(out.ETag),
		Version:  version(out.VersionId),
		Checksum: checksum(out.ChecksumType, checksums{out.ChecksumCRC64NVME, out.ChecksumSHA256, out.ChecksumCRC32C, out.ChecksumSHA1, out.ChecksumCRC32}),
	}, nil
}

// head asks for an object, at its revision where it has one.
func (s *store) head(ctx context.Context, o storage.Object) (*s3.HeadObjectOutput, error) {
	return s.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket:       &s.bucket,
		Key:          s.key(o.Key),
		IfMatch:      etag(o.Revision),
		VersionId:    optional(o.Version),
		ChecksumMode: types.ChecksumModeEnabled,
	})
}

// words asks again, with GET, why a HEAD failed; nil if nothing is wrong.
func (s *store) words(ctx context.Context, o storage.Object, failed error) error {
	answer, ok := errors.AsType[*smithyhttp.ResponseError](failed)
	if !ok || answer.HTTPStatusCode() >= 500 {
		return failed
	}
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.bucket, Key: s.key(o.Key), IfMatch: etag(o.Revision), VersionId: optional(o.Version)})
	if err != nil {
		return err
	}
	out.Body.Close()
	return nil
}

// Open asks for the bytes only if they still are those of the revision, and
// does not believe an answer without looking at it: not every service knows
// conditions and ranges.
func (s *store) Open(ctx context.Context, o storage.Object, offset int64) (io.ReadCloser, error) {
	return s.open(ctx, o, offset, o.Size)
}

// OpenRange asks for a range of an object, which is known to be in it.
func (s *store) OpenRange(ctx context.Context, o storage.Object, offset, to int64) (io.ReadCloser, error) {
	if offset >= to || to > o.Size {
		return nil, &storage.Error{Op: "open", Object: s.name(o.Key), Kind: storage.ErrConfig,
			Says: fmt.Sprintf("bytes %d to %d are no range of its %d bytes", offset, to, o.Size)}
	}
	return s.open(ctx, o, offset, to)
}

func (s *store) open(ctx context.Context, o storage.Object, offset, to int64) (io.ReadCloser, error) {
	if err := checkRead(o.Key); err != nil {
		return nil, &storage.Error{Op: "open", Object: s.URL(), Says: err.Error(), Err: err}
	}
	switch {
	case offset < 0 || offset > o.Size:
		return nil, &storage.Error{Op: "open", Object: s.name(o.Key), Kind: storage.ErrConfig,
			Says: fmt.Sprintf("byte %d is outside of its %d bytes", offset, o.Size)}
	case offset == o.Size && offset > 0: // a range without bytes cannot be asked for
		if _, err := s.head(ctx, o); err != nil {
			if err := s.words(ctx, o, err); err != nil {
				return nil, s.refusal(ctx, "open", o.Key, err)
			}
		}
		return http.NoBody, nil
	}
	in := &s3.GetObjectInput{
		Bucket:    &s.bucket,
		Key:       s.key(o.Key),
		IfMatch:   etag(o.Revision),
		VersionId: optional(o.Version),
	}
	part := ""
	switch {
	case to < o.Size:
		in.Range, part = aws.String(fmt.Sprintf("bytes=%d-%d", offset, to-1)), fmt.Sprintf("bytes %d-%d/", offset, to-1)
	case offset > 0:
		in.Range, part = aws.String(fmt.Sprintf("bytes=%d-", offset)), fmt.Sprintf("bytes %d-", offset)
	default:
		in.ChecksumMode = types.ChecksumModeEnabled
	}
	a, err := s.get(ctx, in)
	if err != nil {
		return nil, s.refusal(ctx, "open", o.Key, err)
	}
	body := &stream{ctx: ctx, store: s, key: o.Key, body: a.body, checksum: a.checksum()}
	switch got := a.header.Get("Content-Range"); {
	case o.Revision != "" && a.revision() != o.Revision:
		body.Close()
		return nil, &storage.Error{Op: "open", Object: s.name(o.Key), Kind: storage.ErrChanged}
	case !strings.HasPrefix(got, part):
		body.Close()
		return nil, &storage.Error{Op: "open", Object: s.name(o.Key), Kind: storage.ErrConfig,
			Says: fmt.Sprintf("the service does not give ranges: asked for %q, it sent the range %q", *in.Range, got)}
	}
	return body, nil
}

// stream is the body of an answer.
type stream struct {
	ctx      context.Context
	store    *store
	key      string
	body     io.ReadCloser
	checksum string
}

// Checksum is the checksum of the whole object.
func (b *stream) Checksum() string { return b.checksum }

func (b *stream) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	if strings.HasPrefix(err.Error(), "checksum did not match") { // the SDK's own, which it does not export
		return n, &storage.Error{Op: "read", Object: b.store.name(b.key), Kind: storage.ErrCorrupt, Says: err.Error(), Err: err}
	}
	return n, b.store.refusal(b.ctx, "read", b.key, err)
}

func (b *stream) Close() error { return b.body.Close() }

func etag(revision string) *string {
	if revision == "" {
		return nil
	}
	return aws.String(`"` + revision + `"`)
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// version leaves out what buckets without versions say.
func version(id *string) string {
	if v := aws.ToString(id); v != "null" {
		return v
	}
	return ""
}
