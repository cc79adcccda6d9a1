package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithytime "github.com/aws/smithy-go/time"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// The answers that a large bucket is read from: lists of objects and of versions, a
// thousand in each. They are read by document; where that cannot read one, and where a
// service refuses, the SDK does as ever. Only what List and Versions look at is filled in.

// pageStall is how long nothing may come of a list that the service has begun to send.
const pageStall = time.Minute

// readsPages makes a client read lists so, and ask again for one that stalls.
func readsPages(stall time.Duration) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			read, ok := pages[stack.ID()]
			if !ok {
				return nil
			}
			p := &pageReader{read: read, stall: stall}
			sdk, err := stack.Deserialize.Swap(p.ID(), p)
			if err != nil {
				return fmt.Errorf("read lists: %w", err)
			}
			p.sdk = sdk
			return nil
		})
	}
}

// pages are how answers are read, by the name of what was asked.
var pages = map[string]func(*document, []byte) (page any, deletions []bool){"ListObjectsV2": readObjects, "ListObjectVersions": readVersions}

// deletionsOf is a page of versions' metadata: which of its records are marks of deletion, in
// their order. The SDK has them apart, and tells none.
type deletionsOf struct{}

// pageReader stands in the place of what reads an answer in the SDK.
type pageReader struct {
	read  func(*document, []byte) (page any, deletions []bool)
	stall time.Duration
	sdk   middleware.DeserializeMiddleware
}

func (*pageReader) ID() string { return "OperationDeserializer" }

// largestPage is far more than a thousand objects take; larger ones are the SDK's.
const largestPage = 16 << 20

func (p *pageReader) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	ctx, cancel := context.WithCancel(ctx) // nothing else ends a Read
	defer cancel()
	out, metadata, err := next.HandleDeserialize(ctx, in)
	again := middleware.DeserializeHandlerFunc(func(context.Context, middleware.DeserializeInput) (middleware.DeserializeOutput, middleware.Metadata, error) {
		return out, metadata, err
	})
	response, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || response.StatusCode != 200 {
		return p.sdk.HandleDeserialize(ctx, in, again)
	}
	var text bytes.Buffer
	if n := response.ContentLength; n > 0 && n < largestPage {
		text.Grow(int(n) + bytes.MinRead)
	}
	body := &stalling{Reader: response.Body, after: p.stall, timer: time.AfterFunc(p.stall, cancel)}
	defer body.timer.Stop()
	_, broken := io.Copy(&text, io.LimitReader(body, largestPage))
	if broken == nil && text.Len() < largestPage {
		d, root := readDocument(text.Bytes())
		if page, deletions := p.read(d, root); d.ends() {
			out.Result = page
			metadata.Set(deletionsOf{}, deletions)
			response.Body.Close() // it was read to its end
			return out, metadata, nil
		}
	}
	// The rest, or why there is none, is the SDK's.
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&text, rest{body, broken}), response.Body}
	return p.sdk.HandleDeserialize(ctx, in, again)
}

// stalling reads what a timer ends where nothing comes.
type stalling struct {
	io.Reader
	after time.Duration
	timer *time.Timer
}

func (s *stalling) Read(b []byte) (int, error) {
	s.timer.Reset(s.after)
	n, err := s.Reader.Read(b)
	if !s.timer.Stop() && err != nil && err != io.EOF {
		err = stalledError(s.after)
	}
	return n, err
}

// stalledError says for how long nothing came. The SDK asks again.
type stalledError time.Duration

func (e stalledError) Error() string { return fmt.Sprintf("nothing came for %v", time.Duration(e)) }

// RetryableError is what the SDK asks an error for.
func (stalledError) RetryableError() bool { return true }

// rest reads on, unless reading has failed.
type rest struct {
	io.Reader
	broken error
}

func (r rest) Read(b []byte) (int, error) {
	if r.broken != nil {
		return 0, r.broken
	}
	return r.Reader.Read(b)
}

// record is an object or a version in a list.
type record struct {
	key, etag, version, class string
	size                      int64
	modified                  time.Time
	latest                    bool
	has                       uint8 // which of them it tells; of the class "" is none
}

const (
	hasKey = 1 << iota
	hasETag
	hasVersion
	hasSize
	hasModified
	hasLatest
)

// told is a value, nil where the record does not tell it.
func told[T any](r *record, which uint8, value *T) *T {
	if r.has&which == 0 {
		return nil
	}
	return value
}

// record reads an object or a version.
func (d *document) record(name []byte) *record {
	r := new(record)
	d.each(name, func(name []byte) {
		var err error
		switch string(name) {
		case "Key":
			r.key = d.text(name)
			r.has |= hasKey
		case "ETag":
			r.etag = d.text(name)
			r.has |= hasETag
		case "VersionId":
			r.version = d.text(name)
			r.has |= hasVersion
		case "Size":
			r.size, err = strconv.ParseInt(d.text(name), 10, 64)
			r.has |= hasSize
		case "LastModified":
			r.modified, err = smithytime.ParseDateTime(d.text(name))
			r.has |= hasModified
		case "IsLatest":
			r.latest, err = strconv.ParseBool(d.text(name))
			r.has |= hasLatest
		case "StorageClass":
			r.class = d.text(name)
		default:
			d.other(name, "Key", "ETag", "VersionId", "Size", "LastModified", "IsLatest", "StorageClass")
		}
		if err != nil {
			d.give() // the SDK says so
		}
	})
	return r
}

// other passes over an element that is not looked at. The SDK does not care how a known
// name is written.
func (d *document) other(name []byte, known ...string) {
	if slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, string(name)) }) {
		d.give()
	}
	d.skip(name)
}

// value reads a text that is told in any case.
func (d *document) value(name []byte) *string {
	s := d.text(name)
	return &s
}

func (d *document) boolean(name []byte) *bool {
	b, err := strconv.ParseBool(d.text(name))
	if err != nil {
		d.give()
	}
	return &b
}

// readObjects reads a ListBucketResult, the answer to ListObjectsV2.
func readObjects(d *document, root []byte) (any, []bool) {
	out := &s3.ListObjectsV2Output{}
	d.each(root, func(name []byte) {
		switch string(name) {
		case "Name":
			out.Name = d.value(name)
		case "IsTruncated":
			out.IsTruncated = d.boolean(name)
		case "NextContinuationToken":
			out.NextContinuationToken = d.value(name)
		case "EncodingType":
			out.EncodingType = types.EncodingType(d.text(name))
		case "Contents":
			r := d.record(name)
			out.Contents = append(out.Contents, types.Object{Key: told(r, hasKey, &r.key), ETag: told(r, hasETag, &r.etag),
				Size: told(r, hasSize, &r.size), LastModified: told(r, hasModified, &r.modified), StorageClass: types.ObjectStorageClass(r.class)})
		default:
			d.other(name, "Name", "IsTruncated", "NextContinuationToken", "EncodingType", "Contents")
		}
	})
	return out, nil
}

// readVersions reads a ListVersionsResult, the answer to ListObjectVersions.
func readVersions(d *document, root []byte) (any, []bool) {
	out := &s3.ListObjectVersionsOutput{}
	var deletions []bool
	d.each(root, func(name []byte) {
		switch string(name) {
		case "Name":
			out.Name = d.value(name)
		case "IsTruncated":
			out.IsTruncated = d.boolean(name)
		case "NextKeyMarker":
			out.NextKeyMarker = d.value(name)
		case "NextVersionIdMarker":
			out.NextVersionIdMarker = d.value(name)
		case "EncodingType":
			out.EncodingType = types.EncodingType(d.text(name))
		case "Version":
			r := d.record(name)
			deletions = append(deletions, false)
			out.Versions = append(out.Versions, types.ObjectVersion{Key: told(r, hasKey, &r.key), ETag: told(r, hasETag, &r.etag), VersionId: told(r, hasVersion, &r.version),
				Size: told(r, hasSize, &r.size), LastModified: told(r, hasModified, &r.modified), IsLatest: told(r, hasLatest, &r.latest), StorageClass: types.ObjectVersionStorageClass(r.class)})
		case "DeleteMarker":
			r := d.record(name)
			deletions = append(deletions, true)
			out.DeleteMarkers = append(out.DeleteMarkers, types.DeleteMarkerEntry{Key: told(r, hasKey, &r.key), VersionId: told(r, hasVersion, &r.version),
				LastModified: told(r, hasModified, &r.modified), IsLatest: told(r, hasLatest, &r.latest)})
		case "CommonPrefixes":
			var p types.CommonPrefix
			d.each(name, func(name []byte) {
				if string(name) == "Prefix" {
					p.Prefix = d.value(name)
				} else {
					d.other(name, "Prefix")
				}
			})
			out.CommonPrefixes = append(out.CommonPrefixes, p)
		default:
			d.other(name, "Name", "IsTruncated", "NextKeyMarker", "NextVersionIdMarker", "EncodingType", "Version", "DeleteMarker", "CommonPrefixes")
		}
	})
	return out, deletions
}
