package s3

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/encoding/httpbinding"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A restore of many small objects is as fast as a GET is cheap, and the SDK goes
// through some forty layers for each. So it is left to the SDK to find out how objects of
// this bucket are asked for (which host, which region, which headers, whose
// credentials), and once it was given one, the next are asked for likewise: signed by the
// SDK's signer, sent over connections like its own (see [wire]). Whatever is not answered with an object is asked for
// again by the SDK, which knows how to try again and what a refusal means. The bytes are
// held against their checksum by [storage.NewReader], whoever has asked.

// received is an object that the service has begun to send.
type received struct {
	header http.Header
	body   io.ReadCloser
}

func (a received) revision() string { return revision(optional(a.header.Get("ETag"))) }

func (a received) checksum() string {
	var sums checksums
	for i, algorithm := range algorithms {
		sums[i] = optional(a.header.Get("X-Amz-Checksum-" + algorithm))
	}
	return checksum(types.ChecksumType(a.header.Get("X-Amz-Checksum-Type")), sums)
}

// get asks for an object.
func (s *store) get(ctx context.Context, in *s3.GetObjectInput) (received, error) {
	a, refused := s.quick.get(ctx, in)
	if a.body != nil {
		return a, nil
	}
	if err := ctx.Err(); err != nil {
		return received{}, err
	}
	var options []func(*s3.Options)
	if s.quick.like.Load() == nil {
		options = append(options, s.quick.learns(*in.Key))
	}
	out, err := s.client.GetObject(ctx, in, options...)
	if err != nil {
		return received{}, err
	}
	if refused { // what the SDK is given
		s.quick.off.Store(true)
	}
	raw, ok := awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response)
	if !ok {
		out.Body.Close()
		return received{}, fmt.Errorf("the SDK gives no answer of HTTP")
	}
	return received{header: raw.Header, body: out.Body}, nil
}

// quick asks for objects as the SDK was seen to.
type quick struct {
	client      s3.HTTPClient
	credentials aws.CredentialsProvider
	signer      *v4.Signer
	like        atomic.Pointer[manner] // nil until the SDK was given an object
	off         atomic.Bool            // the service refuses what it gives the SDK
}

// manner is what all requests for objects of a bucket have in common.
type manner struct {
	scheme, address string
	host            string // as the service is told
	path, raw       string // before the key, as it is and as it is written
	header          http.Header
	region          string
}

// get gives no body where the SDK has to ask, and tells whether the service has refused.
func (q *quick) get(ctx context.Context, in *s3.GetObjectInput) (a received, refused bool) {
	like := q.like.Load()
	if like == nil || q.off.Load() {
		return received{}, false
	}
	credentials, err := q.credentials.Retrieve(ctx)
	if err != nil {
		return received{}, false
	}
	request := like.request(ctx, in)
	if err := q.signer.SignHTTP(ctx, credentials, request, request.Header.Get(contentHash), signingName, like.region, time.Now()); err != nil {
		return received{}, false
	}
	response, err := q.client.Do(request)
	if err != nil {
		return received{}, false
	}
	if !given(response.StatusCode) {
		_, _ = io.CopyN(io.Discard, response.Body, 4096) // so that the connection can be used again
		response.Body.Close()
		switch response.StatusCode {
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
			refused = true
		}
		return received{}, refused
	}
	return received{header: response.Header, body: response.Body}, false
}

const (
	contentHash = "X-Amz-Content-Sha256"
	signingName = "s3"
)

// quickAs asks with a client's means.
func quickAs(o s3.Options) quick {
	return quick{client: wired(o.HTTPClient), credentials: o.Credentials, signer: v4.NewSigner(func(s *v4.SignerOptions) { s.DisableURIPathEscaping = true })}
}

// request is what asks for an object, not signed yet.
func (like *manner) request(ctx context.Context, in *s3.GetObjectInput) *http.Request {
	query := url.Values{"x-id": {"GetObject"}}
	if in.VersionId != nil {
		query.Set("versionId", *in.VersionId)
	}
	header := maps.Clone(like.header)
	set := func(name string, value *string) {
		if value != nil {
			header.Set(name, *value)
		}
	}
	set("If-Match", in.IfMatch)
	set("Range", in.Range)
	if in.ChecksumMode != "" {
		header.Set("X-Amz-Checksum-Mode", string(in.ChecksumMode))
	}
	return (&http.Request{Method: http.MethodGet, Host: like.host, Header: header, Body: http.NoBody, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL: &url.URL{Scheme: like.scheme, Host: like.address, Path: like.path + *in.Key, RawPath: like.raw + httpbinding.EscapePath(*in.Key, false), RawQuery: query.Encode()},
	}).WithContext(ctx)
}

// learns makes the SDK's next request for an object show how it is asked for.
func (q *quick) learns(key string) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Deserialize.Add(&witness{key: key, quick: q}, middleware.After)
		})
	}
}

// witness stands next to the wire, where a request is as it is sent.
type witness struct {
	key   string // of the object, in the bucket
	quick *quick
}

func (*witness) ID() string { return "Witness" }

func (w *witness) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	request, sent := in.Request.(*smithyhttp.Request)
	response, came := out.RawResponse.(*smithyhttp.Response)
	if err == nil && sent && came && given(response.StatusCode) {
		w.quick.like.Store(learn(request.Request, w.key))
	}
	return out, metadata, err
}

// given reports whether an object comes with a status.
func given(status int) bool { return status == http.StatusOK || status == http.StatusPartialContent }

// ownHeaders are those that a request has for itself alone.
var ownHeaders = []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "If-Match", "Range", "X-Amz-Checksum-Mode", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request"}

// learn takes from a signed request for an object what the next ones have in common with
// it; nil where they cannot be made from it, as for directory buckets, which have
// credentials of their own.
func learn(r *http.Request, key string) *manner {
	path, isKey := strings.CutSuffix(r.URL.Path, key)
	raw, isWritten := strings.CutSuffix(r.URL.EscapedPath(), httpbinding.EscapePath(key, false))
	region, isSigned := signedFor(r.Header.Get("Authorization"))
	for name := range r.URL.Query() {
		if name != "x-id" && name != "versionId" {
			return nil
		}
	}
	if !isKey || !isWritten || !isSigned || r.Header.Get(contentHash) == "" {
		return nil
	}
	like := &manner{scheme: r.URL.Scheme, host: cmp.Or(r.Host, r.URL.Host), address: r.URL.Host, path: path, raw: raw, header: r.Header.Clone(), region: region}
	for _, name := range ownHeaders {
		like.header.Del(name)
	}
	return like
}

// signedFor gives the region that a request was signed for with version 4 of AWS's
// signatures; false for other ways of signing and other services.
func signedFor(authorization string) (region string, ok bool) {
	scope, _, _ := strings.Cut(authorization, ",")
	scope, ok = strings.CutPrefix(scope, "AWS4-HMAC-SHA256 Credential=")
	parts := strings.Split(scope, "/") // key id, date, region, service, "aws4_request"
	if n := len(parts); ok && n >= 5 && parts[n-2] == signingName {
		return parts[n-3], true
	}
	return "", false
}
