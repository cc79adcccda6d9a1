package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"comeback/storage"
)

// Put stores what fits into one part with one request, and all else in parts.
// Each request carries the checksum of its bytes, and the service keeps one of
// the whole object.
//
// A failed Put removes its parts; what a killed one leaves are the parts of an
// unfinished upload, which no list shows: Sweep removes them, or a lifecycle rule
// of the bucket. Where the service's last answer is lost, the outcome is
// not known: it is ErrUnavailable and the object may be there, whole; or the
// SDK's next try meets the object of the one before, and IfAbsent gives
// ErrExist. Whoever needs to know compares what is there.
func (s *store) Put(ctx context.Context, key string, r io.Reader, options storage.PutOptions) (storage.Object, error) {
	if err := storage.CheckKey(key); err != nil {
		return storage.Object{}, &storage.Error{Op: "put", Object: s.URL(), Says: err.Error(), Err: err}
	}
	if err := ctx.Err(); err != nil {
		return storage.Object{}, s.refusal(ctx, "put", key, err)
	}
	u := &upload{store: s, key: key, source: storage.Exactly(r, options.Size), ifAbsent: options.IfAbsent,
		partSize: partSize(options)}
	o, err := u.run(ctx)
	if err != nil {
		if u.sourceErr != nil && ctx.Err() == nil {
			return storage.Object{}, &storage.Error{Op: "put", Object: s.name(key), Says: err.Error(), Err: err}
		}
		return storage.Object{}, s.putRefusal(ctx, key, options.IfAbsent, err)
	}
	return o, nil
}

// The sizes of parts. Parts of the least size hold 80 GB, those for an unknown size 320 GB,
// and more where it is told how much it may be.
const (
	leastPart   = 8 << 20
	unknownPart = 32 << 20
)

// mostParts is how many parts a service takes.
var mostParts int64 = 10_000

// partSize is the size of each part but the last; services other than AWS want
// them all the same.
func partSize(o storage.PutOptions) int64 {
	const step = 1 << 20
	need := func(size int64) int64 { return (size/mostParts/step + 1) * step }
	if o.Size < 0 {
		return max(unknownPart, need(max(0, o.AtMost)))
	}
	return max(leastPart, need(o.Size))
}

// upload is one Put.
type upload struct {
	store     *store
	key       string
	source    io.Reader
	sourceErr error // the source's own failure
	ifAbsent  bool
	partSize  int64
}

// run reads the first part to see whether there will be more.
func (u *upload) run(ctx context.Context) (storage.Object, error) {
	var first bytes.Buffer
	n, err := io.CopyN(&first, u.source, u.partSize)
	switch {
	case err == io.EOF:
		return u.single(ctx, first.Bytes())
	case err != nil:
		u.sourceErr = err
		return storage.Object{}, err
	}
	return u.multipart(ctx, first.Bytes()[:n:n])
}

func (u *upload) single(ctx context.Context, body []byte) (storage.Object, error) {
	out, err := u.store.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:            &u.store.bucket,
		Key:               u.store.key(u.key),
		Body:              bytes.NewReader(body),
		ContentLength:     aws.Int64(int64(len(body))),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
		IfNoneMatch:       u.ifNoneMatch(),
	})
	if err != nil {
		return storage.Object{}, err
	}
	return storage.Object{
		Key:      u.key,
		Size:     int64(len(body)),
		Modified: serverTime(out.ResultMetadata),
		Revision: revision(out.ETag),
		Version:  version(out.VersionId),
		Checksum: checksum(out.ChecksumType, checksums{0: out.ChecksumCRC64NVME}),
	}, nil
}

// serverTime is when the service answered, by its own clock. It saves asking
// for the time of what was just stored, which credentials that may only write
// could not.
func serverTime(answer middleware.Metadata) time.Time {
	t, _ := awsmiddleware.GetServerTime(answer)
	return t.UTC()
}

func (u *upload) ifNoneMatch() *string {
	if u.ifAbsent {
		return aws.String("*")
	}
	return nil
}

// putRefusal tells a key that is taken from one that two are taking: S3 answers
// 409 to one of two conditional writes at the same time, whether or not the
// other one succeeds.
func (s *store) putRefusal(ctx context.Context, key string, ifAbsent bool, err error) error {
	refusal := s.refusal(ctx, "put", key, err)
	if code(err) == "ConditionalRequestConflict" && ifAbsent {
		if _, err := s.Stat(ctx, key); err == nil {
			refusal.Kind = storage.ErrExist
		}
	}
	return refusal
}

// occupied reports, before much is sent in vain, that a key is taken. The
// condition on the last request decides.
func (u *upload) occupied(ctx context.Context) error {
	if !u.ifAbsent {
		return nil
	}
	_, err := u.store.head(ctx, storage.Object{Key: u.key})
	switch {
	case err == nil:
		return &storage.Error{Op: "put", Object: u.store.name(u.key), Kind: storage.ErrExist}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return nil
}
