package s3

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/encoding/httpbinding"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"comeback/storage"
)

// quick asks for versions as the SDK does, without its layers, which take several times
// as long as all the rest of a small object, here and in the service that is asked. How
// to ask it learns from a request of the SDK's. It takes an answer that is as it should
// be; whatever else comes is dropped and asked again through the SDK, which knows when
// to try again, and what the service's words mean.
//
// Only what comes from a list of versions is asked so: there are many, and whoever
// reads them (storage.NewReader) holds the bytes against the service's checksum, as
// the SDK would.
type quick struct {
	manner  atomic.Pointer[manner]
	dropped atomic.Int64
}

// enough is how many answers may be dropped before nothing is asked so any more.
const enough = 10

// manner is how a service is asked for an object.
type manner struct {
	scheme, host string
	before       string // what comes before the key in the path, escaped
	header       http.Header
	payload      string // the hash that is signed
	region       string // that signatures are for
}

// learn makes a request of the SDK for a key show how it asks.
func (q *quick) learn(key string) func(*s3.Options) {
	see := middleware.FinalizeMiddlewareFunc("learn", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if r, ok := in.Request.(*smithyhttp.Request); ok {
			if m := mannerOf(r.Request, key); m != nil {
				q.manner.Store(m)
			}
		}
		return next.HandleFinalize(ctx, in)
	})
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error { return s.Finalize.Add(see, middleware.After) })
	}
}

// own are the headers that each request has of its own.
var own = []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "If-Match", "Range", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request"}

// mannerOf is nil where a request is not signed as usual or asks for no checksum.
func mannerOf(r *http.Request, key string) *manner {
	signed, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=")
	scope, _, _ := strings.Cut(signed, ",")
	parts := strings.Split(scope, "/") // of the access key's id, which may hold slashes, the day, the region, the service and an end
	before, its := strings.CutSuffix(r.URL.EscapedPath(), httpbinding.EscapePath(key, false))
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if !ok || !its || payload == "" || r.Header.Get("X-Amz-Checksum-Mode") != string(types.ChecksumModeEnabled) || len(parts) < 5 || parts[len(parts)-2] != "s3" {
		return nil
	}
	m := &manner{scheme: r.URL.Scheme, host: r.URL.Host, before: before, header: r.Header.Clone(), payload: payload, region: parts[len(parts)-3]}
	for _, name := range own {
		m.header.Del(name)
	}
	return m
}

// open asks for a whole version; nil means that the SDK has to.
func (q *quick) open(ctx context.Context, s *store, o storage.Object) *stream {
	m := q.manner.Load()
	if m == nil || o.Version == "" || o.Revision == "" || q.dropped.Load() >= enough {
		return nil
	}
	answer, err := m.ask(ctx, s.client.Options(), *s.key(o.Key), o)
	if err != nil {
		q.drop(ctx)
		return nil
	}
	h := answer.Header
	if answer.StatusCode != http.StatusOK || answer.ContentLength != o.Size || strings.Trim(h.Get("ETag"), `"`) != o.Revision {
		_, _ = io.CopyN(io.Discard, answer.Body, 4<<10) // so that the connection can be used again
		answer.Body.Close()
		q.drop(ctx)
		return nil
	}
	return &stream{ctx: ctx, store: s, key: o.Key, body: answer.Body, checksum: checksum(types.ChecksumType(h.Get("X-Amz-Checksum-Type")), checksums{
		of(h, "Crc64nvme"), of(h, "Sha256"), of(h, "Crc32c"), of(h, "Sha1"), of(h, "Crc32")})}
}

// drop forgets how to ask, which the SDK's next request shows again.
func (q *quick) drop(ctx context.Context) {
	if ctx.Err() == nil {
		q.manner.Store(nil)
		q.dropped.Add(1)
	}
}

func (m *manner) ask(ctx context.Context, o s3.Options, key string, object storage.Object) (*http.Response, error) {
	r := (&http.Request{Method: http.MethodGet, Host: m.host, Header: m.header.Clone(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	escaped := m.before + httpbinding.EscapePath(key, false)
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return nil, err
	}
	r.URL = &url.URL{Scheme: m.scheme, Host: m.host, Path: path, RawPath: escaped, RawQuery: "versionId=" + url.QueryEscape(object.Version) + "&x-id=GetObject"}
	r.Header.Set("If-Match", *etag(object.Revision))
	who, err := o.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	if err := signer.SignHTTP(ctx, who, r, m.payload, "s3", m.region, time.Now()); err != nil {
		return nil, err
	}
	return o.HTTPClient.Do(r)
}

var signer = v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })

func of(h http.Header, algorithm string) *string {
	if sum := h.Get("X-Amz-Checksum-" + algorithm); sum != "" {
		return aws.String(sum)
	}
	return nil
}
