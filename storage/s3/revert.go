package s3

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"comeback/storage"
)

var _ storage.Reverter = (*store)(nil)

// What a service copies with one request, and the parts in which it copies what is
// larger. Variables, so that a test need not store gigabytes.
var (
	mostCopied int64 = 5 << 30
	copiedPart int64 = 512 << 20
)

// A service answers a copy when it is made, or begins to at once and says nothing for as long:
// it is given longer than for other answers, and a second more for each copiedPerSecond bytes.
const (
	copyTime        = 3 * time.Minute
	copiedPerSecond = 8 << 20
)

// copyWithin is how long a copy of so many bytes may take, with all attempts at it.
func copyWithin(size int64) time.Duration {
	return copyTime + time.Duration(size/copiedPerSecond)*time.Second
}

// unhurried is a client's, for answers that come late: whoever asks bounds them.
func unhurried(o *s3.Options) {
	if c, ok := o.HTTPClient.(*awshttp.BuildableClient); ok {
		o.HTTPClient = c.WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = 0 })
	}
}

// Revert lets the service copy. Content type, metadata and tags are the version's, and so
// are its storage class and who may do what with it, as far as the service lets it.
func (s *store) Revert(ctx context.Context, v storage.Object) (storage.Reverted, error) {
	if err := s.revertible(v); err != nil {
		return storage.Reverted{}, err
	}
	b, err := s.beside(ctx, v)
	if err != nil {
		return storage.Reverted{}, s.refusal(ctx, "revert", v.Key, err)
	}
	o, err := s.copy(ctx, v, b)
	if err != nil {
		if plain, ok := b.plain(err); ok {
			b = plain
			o, err = s.copy(ctx, v, b)
		}
	}
	if err != nil {
		return storage.Reverted{}, s.refusal(ctx, "revert", v.Key, err)
	}
	return storage.Reverted{Object: o, Lacks: b.lacks}, nil
}

func (s *store) copy(ctx context.Context, v storage.Object, b beside) (storage.Object, error) {
	if v.Size > mostCopied {
		return s.copyInParts(ctx, v, b)
	}
	ctx, cancel := context.WithTimeout(ctx, copyWithin(v.Size))
	defer cancel()
	out, err := s.copies.CopyObject(ctx, b.copied(&s3.CopyObjectInput{Bucket: &s.bucket, Key: s.key(v.Key), CopySource: s.source(v),
		MetadataDirective: types.MetadataDirectiveCopy, TaggingDirective: types.TaggingDirectiveCopy}))
	if err != nil {
		return storage.Object{}, err
	}
	o := storage.Object{Key: v.Key, Size: v.Size, Version: version(out.VersionId), Modified: serverTime(out.ResultMetadata)}
	if out.CopyObjectResult != nil {
		o.Revision = revision(out.CopyObjectResult.ETag)
	}
	return o, nil
}

func (s *store) revertible(v storage.Object) error {
	if err := s.named("revert", v.Key); err != nil {
		return err
	}
	if v.Version == "" {
		return &storage.Error{Op: "revert", Object: s.name(v.Key), Kind: storage.ErrConfig, Says: "which version is meant is not known"}
	}
	return nil
}

// named refuses no key but none at all: what is in a bucket has names as its users chose,
// "a//b" and "/x.jpg" among them, which comeback would give to nothing of its own.
func (s *store) named(op, key string) error {
	if key == "" {
		return &storage.Error{Op: op, Object: s.URL(), Kind: storage.ErrConfig, Says: "the key is empty"}
	}
	return nil
}

// source names a version as a copy's source.
func (s *store) source(v storage.Object) *string {
	words := strings.Split(s.bucket+"/"+*s.key(v.Key), "/")
	for i, w := range words {
		words[i] = strings.ReplaceAll(url.QueryEscape(w), "+", "%20")
	}
	return aws.String(strings.Join(words, "/") + "?versionId=" + url.QueryEscape(v.Version))
}

// copyInParts copies what is too large for one request. A copy in parts has the
// metadata and the tags that it is given.
func (s *store) copyInParts(ctx context.Context, v storage.Object, b beside) (storage.Object, error) {
	tags, err := s.tags(ctx, v)
	if err != nil {
		return storage.Object{}, err
	}
	created, err := s.client.CreateMultipartUpload(ctx, b.created(&s3.CreateMultipartUploadInput{Bucket: &s.bucket, Key: s.key(v.Key), Tagging: tags}))
	if err != nil {
		return storage.Object{}, err
	}
	p := &parts{upload: &upload{store: s, key: v.Key}, id: created.UploadId}
	g, copying := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	number := int32(0)
	for from := int64(0); from < v.Size; from += copiedPart {
		number++
		n, to := number, min(from+copiedPart, v.Size)-1
		g.Go(func() error { return p.copyOne(copying, n, s.source(v), fmt.Sprintf("bytes=%d-%d", from, to)) })
	}
	if err := g.Wait(); err != nil {
		return storage.Object{}, p.abort(ctx, err)
	}
	out, err := p.completeCopies(ctx)
	if err != nil {
		return storage.Object{}, p.abort(ctx, err)
	}
	return storage.Object{Key: v.Key, Size: v.Size, Version: version(out.VersionId), Revision: revision(out.ETag), Modified: serverTime(created.ResultMetadata)}, nil
}

// tags are a version's, as a new upload takes them; nil where it has none.
func (s *store) tags(ctx context.Context, v storage.Object) (*string, error) {
	out, err := s.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &s.bucket, Key: s.key(v.Key), VersionId: optional(v.Version)})
	if err != nil {
		switch code(err) {
		case "NoSuchTagSet", "NotImplemented", "MethodNotAllowed":
			return nil, nil
		}
		return nil, err
	}
	set := url.Values{}
	for _, t := range out.TagSet {
		set.Set(aws.ToString(t.Key), aws.ToString(t.Value))
	}
	return optional(set.Encode()), nil
}

// Hide deletes without a version, which leaves a marker where the bucket keeps
// versions. Where it keeps none the object would be lost, so that is asked first.
func (s *store) Hide(ctx context.Context, key string) error {
	if err := s.named("hide", key); err != nil {
		return err
	}
	v, err := s.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &s.bucket})
	if err != nil {
		return s.refusal(ctx, "hide", key, err)
	}
	if v.Status != types.BucketVersioningStatusEnabled {
		return &storage.Error{Op: "hide", Object: s.name(key), Kind: storage.ErrConfig, Says: "the bucket keeps no versions, so it would be gone"}
	}
	out, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.key(key)})
	if err != nil {
		return s.refusal(ctx, "hide", key, err)
	}
	if aws.ToString(out.VersionId) == "" {
		return &storage.Error{Op: "hide", Object: s.name(key), Kind: storage.ErrConfig, Says: "the service left no marker: it keeps no versions"}
	}
	return nil
}

// Alike asks for checksums only where the revisions, which of copies and of objects
// in parts are not the same, do not tell.
func (s *store) Alike(ctx context.Context, a, b storage.Object) (bool, error) {
	switch {
	case a.Size != b.Size:
		return false, nil
	case a.Version != "" && a.Version == b.Version, a.Revision != "" && a.Revision == b.Revision:
		return true, nil
	}
	of, err := s.heads(ctx, a, b)
	if err != nil {
		return false, err
	}
	var sums [2]string
	for i, out := range of {
		if sums[i] = checksum(out.ChecksumType, checksums{out.ChecksumCRC64NVME, out.ChecksumSHA256, out.ChecksumCRC32C, out.ChecksumSHA1, out.ChecksumCRC32}); sums[i] == "" {
			return false, nil
		}
	}
	return sums[0] == sums[1], nil
}

// SaidAlike compares what a HEAD gives. Tags and access control lists are none of it: to
// change them makes no version.
func (s *store) SaidAlike(ctx context.Context, a, b storage.Object) (bool, error) {
	if a.Version != "" && a.Version == b.Version {
		return true, nil
	}
	of, err := s.heads(ctx, a, b)
	if err != nil {
		return false, err
	}
	var says [2][]string
	for i, h := range of {
		for _, text := range []*string{h.ContentType, h.ContentEncoding, h.ContentDisposition, h.ContentLanguage, h.CacheControl, h.ExpiresString, h.WebsiteRedirectLocation} {
			says[i] = append(says[i], aws.ToString(text))
		}
	}
	return slices.Equal(says[0], says[1]) && maps.Equal(of[0].Metadata, of[1].Metadata), nil
}

// heads asks for what is said of two versions, both at once.
func (s *store) heads(ctx context.Context, a, b storage.Object) (of [2]*s3.HeadObjectOutput, err error) {
	g, asking := errgroup.WithContext(ctx)
	for i, o := range []storage.Object{a, b} {
		g.Go(func() (err error) {
			if of[i], err = s.head(asking, o); err != nil {
				return s.refusal(asking, "stat", o.Key, err)
			}
			return nil
		})
	}
	return of, g.Wait()
}
