package s3

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"comeback/storage"
)

// atOnce is how many parts are sent side by side. One more is being read: 32 MB
// are held where the size is known (and below 80 GB), 128 MB where it is not. Large parts
// are fewer at once, so that mostHeld are held, or two parts.
const (
	atOnce   = 3
	mostHeld = 512 << 20
)

// sideBySide is how many parts of a size are sent side by side.
func sideBySide(partSize int64) int {
	return int(min(atOnce, max(1, mostHeld/partSize-1)))
}

// abortTimeout is how long removing the parts of a failed upload may take.
const abortTimeout = 30 * time.Second

// multipart sends an object in parts, which become the object all at once with
// the last request. (The SDK's own feature/s3/transfermanager writes to the
// process's log and loses the cause of a failure when it cannot clean up.)
func (u *upload) multipart(ctx context.Context, first []byte) (storage.Object, error) {
	if err := u.occupied(ctx); err != nil {
		return storage.Object{}, err
	}
	created, err := u.store.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket:            &u.store.bucket,
		Key:               u.store.key(u.key),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
		ChecksumType:      types.ChecksumTypeFullObject,
	})
	if err != nil {
		return storage.Object{}, err
	}
	p := &parts{upload: u, id: created.UploadId}
	size, err := p.send(ctx, first)
	if err != nil {
		return storage.Object{}, p.abort(ctx, err)
	}
	out, err := p.complete(ctx, size)
	if err != nil {
		return storage.Object{}, p.abort(ctx, err)
	}
	return storage.Object{
		Key:      u.key,
		Size:     size,
		Modified: serverTime(created.ResultMetadata), // S3 dates it by its beginning
		Revision: revision(out.ETag),
		Version:  version(out.VersionId),
		Checksum: checksum(out.ChecksumType, checksums{0: out.ChecksumCRC64NVME}),
	}, nil
}

// parts is a multipart upload under way.
type parts struct {
	*upload
	id   *string
	mu   sync.Mutex
	done []types.CompletedPart
}

// send reads the source to its end and sends it in parts; it gives the number
// of bytes. It returns when no part is on its way any more.
func (p *parts) send(ctx context.Context, part []byte) (size int64, err error) {
	group, sending := errgroup.WithContext(ctx)
	group.SetLimit(sideBySide(p.partSize))
	free := make(chan []byte, atOnce+1)
	for number := int32(1); len(part) > 0 && sending.Err() == nil; number++ {
		if int64(number) > mostParts {
			p.sourceErr = fmt.Errorf("it goes on after %d parts of %d bytes, and nobody has said beforehand that it may be so large", mostParts, p.partSize)
			break
		}
		body := part
		size += int64(len(body))
		group.Go(func() error {
			err := p.sendOne(sending, number, body)
			free <- body
			return err
		})
		if part, err = p.next(free); err != nil {
			p.sourceErr = err
			break
		}
	}
	err = group.Wait()
	return size, cmp.Or(p.sourceErr, err, ctx.Err()) // the end of ctx may have come between two parts
}

// next reads a part into a buffer that is not in use.
func (p *parts) next(free chan []byte) ([]byte, error) {
	var buffer []byte
	select {
	case buffer = <-free:
		buffer = buffer[:cap(buffer)]
	default:
		buffer = make([]byte, p.partSize)
	}
	n, err := storage.Fill(p.source, buffer[:p.partSize])
	if err == io.EOF {
		err = nil
	}
	return buffer[:n], err
}

func (p *parts) sendOne(ctx context.Context, number int32, body []byte) error {
	out, err := p.store.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket:            &p.store.bucket,
		Key:               p.store.key(p.key),
		UploadId:          p.id,
		PartNumber:        &number,
		Body:              bytes.NewReader(body),
		ContentLength:     aws.Int64(int64(len(body))),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = append(p.done, types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC64NVME: out.ChecksumCRC64NVME})
	return nil
}

// complete makes the parts the object.
func (p *parts) complete(ctx context.Context, size int64) (*s3.CompleteMultipartUploadOutput, error) {
	slices.SortFunc(p.done, func(a, b types.CompletedPart) int { return int(*a.PartNumber - *b.PartNumber) })
	return p.store.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket:          &p.store.bucket,
		Key:             p.store.key(p.key),
		UploadId:        p.id,
		ChecksumType:    types.ChecksumTypeFullObject,
		MpuObjectSize:   &size,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: p.done},
		IfNoneMatch:     p.ifNoneMatch(),
	})
}

// copyOne lets the service copy one part.
func (p *parts) copyOne(ctx context.Context, number int32, source *string, bytes string) error {
	ctx, cancel := context.WithTimeout(ctx, copyWithin(copiedPart))
	defer cancel()
	out, err := p.store.copies.UploadPartCopy(ctx, &s3.UploadPartCopyInput{Bucket: &p.store.bucket, Key: p.store.key(p.key), UploadId: p.id,
		PartNumber: &number, CopySource: source, CopySourceRange: &bytes})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = append(p.done, types.CompletedPart{PartNumber: &number, ETag: out.CopyPartResult.ETag})
	return nil
}

// completeCopies makes copied parts the object.
func (p *parts) completeCopies(ctx context.Context) (*s3.CompleteMultipartUploadOutput, error) {
	slices.SortFunc(p.done, func(a, b types.CompletedPart) int { return int(*a.PartNumber - *b.PartNumber) })
	ctx, cancel := context.WithTimeout(ctx, copyWithin(int64(len(p.done))*copiedPart))
	defer cancel()
	return p.store.copies.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &p.store.bucket, Key: p.store.key(p.key), UploadId: p.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: p.done}})
}

// abort removes the parts after a failure, even one that is the end of ctx.
func (p *parts) abort(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	_, err := p.store.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &p.store.bucket, Key: p.store.key(p.key), UploadId: p.id})
	if err != nil && code(err) != "NoSuchUpload" {
		return &remains{cause: cause, id: *p.id, err: err}
	}
	return cause
}

// remains is a failure after which the parts could not be removed.
type remains struct {
	cause, err error
	id         string
}

func (r *remains) Error() string {
	return fmt.Sprintf("%v; the parts of upload %s remain: %v", r.cause, r.id, r.err)
}

func (r *remains) Unwrap() error { return r.cause }
