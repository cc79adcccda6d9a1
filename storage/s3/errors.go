package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"comeback/pattern"
	"comeback/storage"
)

// kinds are the codes of S3 and STS in storage's terms. A code that is not
// among them is judged by the HTTP status.
var kinds = map[string]error{
	"NoSuchKey":     storage.ErrNotExist,
	"NoSuchVersion": storage.ErrNotExist,

	"NoSuchBucket":                       storage.ErrConfig,
	"PermanentRedirect":                  storage.ErrConfig,
	"AuthorizationHeaderMalformed":       storage.ErrConfig,
	"IllegalLocationConstraintException": storage.ErrConfig,
	"NotImplemented":                     storage.ErrConfig,

	"AccessDenied":          storage.ErrDenied,
	"InvalidAccessKeyId":    storage.ErrDenied,
	"InvalidClientTokenId":  storage.ErrDenied,
	"InvalidToken":          storage.ErrDenied,
	"SignatureDoesNotMatch": storage.ErrDenied,
	"RequestTimeTooSkewed":  storage.ErrDenied,

	"ExpiredToken":          storage.ErrExpired,
	"ExpiredTokenException": storage.ErrExpired,
	"TokenRefreshRequired":  storage.ErrExpired,
	"RequestExpired":        storage.ErrExpired,

	"InvalidObjectState":         storage.ErrArchived,
	"ObjectNotInActiveTierError": storage.ErrArchived, // of a copy

	"InvalidRange": storage.ErrChanged,

	"BadDigest":                   storage.ErrCorrupt,
	"IncompleteBody":              storage.ErrCorrupt,
	"InvalidDigest":               storage.ErrCorrupt,
	"XAmzContentChecksumMismatch": storage.ErrCorrupt,
	"XAmzContentSHA256Mismatch":   storage.ErrCorrupt,

	"ConditionalRequestConflict": storage.ErrUnavailable,
	"OperationAborted":           storage.ErrUnavailable,
	"RequestTimeout":             storage.ErrUnavailable,
	"SlowDown":                   storage.ErrUnavailable,
	"TemporaryRedirect":          storage.ErrUnavailable,
	"ServiceUnavailable":         storage.ErrUnavailable,
	"Throttling":                 storage.ErrUnavailable,
	"InternalError":              storage.ErrUnavailable,
}

// refusal is err in storage's terms, in the words of the service.
func (s *store) refusal(ctx context.Context, op, key string, err error) *storage.Error {
	if known, ok := errors.AsType[*storage.Error](err); ok {
		return known
	}
	e := &storage.Error{Op: op, Object: s.name(key), Err: err}
	if ctx.Err() != nil {
		e.Kind = ctx.Err()
		return e
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		s.answered(ctx, e, api, err)
	} else {
		e.Says, e.Kind = unanswered(err)
		if o := s.client.Options(); o.BaseEndpoint != nil && !o.UsePathStyle && unknownHost(err) {
			e.Says += "; many services other than AWS need path_style: true"
		}
	}
	if r, ok := errors.AsType[*remains](err); ok {
		e.Says += fmt.Sprintf("; the parts of upload %s remain: %v", r.id, r.err)
	}
	return e
}

// answered judges what the service has said.
func (s *store) answered(ctx context.Context, e *storage.Error, api smithy.APIError, err error) {
	status := 0
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = answer.HTTPStatusCode()
	}
	e.Says = fmt.Sprintf("%s (%s)", strings.TrimSpace(api.ErrorMessage()), api.ErrorCode())
	known := false
	if e.Kind, known = kinds[api.ErrorCode()]; !known {
		e.Kind = byStatus(e.Op, status)
	}
	switch {
	case api.ErrorCode() == "NoSuchBucket":
		e.Says = fmt.Sprintf("the bucket %s does not exist: %s", s.bucket, e.Says)
		if e.Op == "list" {
			e.Err = errors.Join(storage.ErrNotExist, err)
		}
	case api.ErrorCode() == "NotFound":
		e.Says = "the service answers 404 but does not say that the key is absent; is this endpoint an S3 service?"
	case e.Kind == storage.ErrConfig:
		if right := region(api, err); right != "" {
			e.Says = fmt.Sprintf("the bucket %s is in the region %s, not in %s: %s", s.bucket, right, s.config.Region, e.Says)
		}
	case e.Kind == storage.ErrDenied && s.account != "" && s.foreign(ctx):
		e.Kind = storage.ErrConfig
		e.Says = fmt.Sprintf("the bucket %s is not of the account %s: %s", s.bucket, s.account, e.Says)
	}
}

// byStatus judges an answer whose code says nothing.
func byStatus(op string, status int) error {
	switch {
	case status == 412 && op == "put":
		return storage.ErrExist
	case status == 412:
		return storage.ErrChanged
	case status == 401, status == 403:
		return storage.ErrDenied
	case status == 429, status >= 500, status == 0:
		return storage.ErrUnavailable
	}
	return storage.ErrConfig
}

var expecting = pattern.New(`expecting ['"]([a-z0-9-]+)['"]`)

// region is the bucket's region where the service names it.
func region(api smithy.APIError, err error) string {
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && answer.Response != nil {
		if right := answer.Response.Header.Get("x-amz-bucket-region"); right != "" {
			return right
		}
	}
	if found := expecting.FindStringSubmatch(api.ErrorMessage()); found != nil {
		return found[1]
	}
	return ""
}

// foreign reports whether the bucket can be reached when nobody asks whose it
// is: then it was the account that the service refused.
func (s *store) foreign(ctx context.Context) bool {
	_, err := s.anyOwner.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.bucket})
	return err == nil
}

// unanswered judges a request that got no answer, or none that S3 gives.
func unanswered(err error) (says string, kind error) {
	says = err.Error()
	if sent, ok := errors.AsType[*url.Error](err); ok {
		says = sent.Err.Error()
	}
	var (
		sso         *ssocreds.InvalidTokenError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		record      tls.RecordHeaderError
		syntax      *xml.SyntaxError
	)
	switch {
	case errors.As(err, &sso):
		return sso.Error(), storage.ErrExpired
	case strings.Contains(says, "no EC2 IMDS role found"), strings.Contains(says, "static credentials are empty"):
		return "no credentials were found, neither in the environment, nor in a profile, nor of this instance", storage.ErrDenied
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &record):
		return says, storage.ErrConfig
	case errors.As(err, &syntax):
		return "the answer is not that of an S3 service: " + syntax.Error(), storage.ErrConfig
	}
	return says, storage.ErrUnavailable
}

// unknownHost reports whether the host's name does not exist, as that of a
// bucket does not where buckets have no names of their own.
func unknownHost(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

// code is the code of the service's answer, or "".
func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}
