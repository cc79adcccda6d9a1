// Package s3 is the store in a bucket of S3, or of a service that speaks its
// protocol. It promises that bytes are those of the revision that was asked
// for, that absence is believed only where the service says NoSuchKey, and
// that each refusal carries the service's own words. Every request is tried a
// bounded number of times (three, or AWS_MAX_ATTEMPTS; one more for an object, and
// five more within half a minute for a page of a list that has begun) and, where an
// account is named, is refused by the service when the bucket is another account's.
//
// Credentials come from the SDK's default chain: environment, profile, single
// sign-on, web identity, container, instance. It removes nothing but what
// Remove is asked to, and never retries a stream that broke: storage.NewReader
// does.
package s3

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"comeback/storage"
	"comeback/storage/account"
)

// Options say where the bucket is and how to get there. What is empty comes
// from the environment and the profile, as the SDK's default chain finds it.
type Options struct {
	// URL is s3://bucket or s3://bucket/prefix; nothing in it is decoded.
	URL string
	// Region is the bucket's region.
	Region string
	// Profile names a profile of the shared configuration files.
	Profile string
	// Endpoint is the URL of a service other than AWS, as AWS_ENDPOINT_URL.
	Endpoint string
	// Role is the ARN of a role to assume with these credentials.
	Role string
	// Account is the account that must own the bucket.
	Account string
	// PathStyle puts the bucket into the path instead of the host's name.
	PathStyle bool
	// PathElsewhere is PathStyle where the environment or the profile names an endpoint:
	// what is not AWS hardly ever gives buckets names of hosts.
	PathElsewhere bool
}

// store is a prefix of a bucket.
type store struct {
	bucket, prefix string
	account        string
	config         aws.Config
	client         *s3.Client
	copies         *s3.Client // lets the service copy, which takes its time
	anyOwner       *s3.Client // asks without naming the account
	quick          quick
	lists          lists
	pauses         []time.Duration // before a page of a list is asked for again
}

// Open prepares a store and asks nobody yet, unless the profile needs it: the
// first use shows whether the place can be reached.
func Open(ctx context.Context, options Options) (storage.Store, error) {
	bucket, prefix, err := parseURL(options.URL)
	if err != nil {
		return nil, &storage.Error{Op: "open", Object: options.URL, Kind: storage.ErrConfig, Says: err.Error(), Err: err}
	}
	cfg, err := loadConfig(ctx, options)
	if missing, ok := errors.AsType[account.NoProfile](err); ok {
		err = storage.NoProfile{Name: missing.Name}
	}
	if err != nil {
		return nil, &storage.Error{Op: "open", Object: options.URL, Kind: storage.ErrConfig, Says: err.Error(), Err: err}
	}
	at := func(o *s3.Options) {
		o.UsePathStyle = options.PathStyle || options.PathElsewhere && o.BaseEndpoint != nil
		if options.Endpoint != "" {
			o.BaseEndpoint = aws.String(options.Endpoint)
		}
	}
	owned := func(o *s3.Options) {
		if options.Account != "" {
			o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue(ownerHeader, options.Account))
		}
	}
	client := s3.NewFromConfig(cfg, at, owned, readsPages(pageStall))
	return &store{bucket: bucket, prefix: prefix, account: options.Account, config: cfg, client: client, copies: s3.NewFromConfig(cfg, at, owned, unhurried), anyOwner: s3.NewFromConfig(cfg, at),
		quick: quickAs(client.Options()), pauses: pagePauses}, nil
}

// ownerHeader makes the service refuse a request unless the bucket is this
// account's.
const ownerHeader = "x-amz-expected-bucket-owner"

// loadConfig is how the account is asked.
func loadConfig(ctx context.Context, options Options) (aws.Config, error) {
	cfg, err := account.Load(ctx, account.Options{Region: options.Region, Profile: options.Profile, Role: options.Role})
	if cfg.Region == "" {
		cfg.Region = "us-east-1" // where it is not the bucket's, the service names the right one
	}
	return cfg, err
}

func (s *store) URL() string {
	if s.prefix == "" {
		return "s3://" + s.bucket
	}
	return "s3://" + s.bucket + "/" + s.prefix
}

// key is an object's key in the bucket.
func (s *store) key(key string) *string {
	if s.prefix != "" {
		key = s.prefix + "/" + key
	}
	return &key
}

// name is an object's URL, for people.
func (s *store) name(key string) string {
	if key == "" {
		return s.URL()
	}
	return s.URL() + "/" + key
}
