// Package s3 is the store in a bucket of S3, or of a service that speaks its
// protocol. It promises that bytes are those of the revision that was asked
// for, that absence is believed only where the service says NoSuchKey, and
// that each refusal carries the service's own words. Every request is tried a
// bounded number of times (three, or AWS_MAX_ATTEMPTS) and, where an account is
// named, is refused by the service when the bucket is another account's.
//
// Credentials come from the SDK's default chain: environment, profile, single
// sign-on, web identity, container, instance. It removes nothing but what
// Remove is asked to, and never retries a stream that broke: storage.NewReader
// does.
package s3

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"comeback/storage"
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
}

// How long the service may take to accept a connection and to begin an answer.
const (
	dialTimeout   = 10 * time.Second
	answerTimeout = time.Minute
)

// store is a prefix of a bucket.
type store struct {
	bucket, prefix string
	account        string
	config         aws.Config
	client         *s3.Client
	anyOwner       *s3.Client // asks without naming the account
}

// Open prepares a store and asks nobody yet, unless the profile needs it: the
// first use shows whether the place can be reached.
func Open(ctx context.Context, options Options) (storage.Store, error) {
	bucket, prefix, err := parseURL(options.URL)
	if err != nil {
		return nil, &storage.Error{Op: "open", Object: options.URL, Kind: storage.ErrConfig, Says: err.Error(), Err: err}
	}
	cfg, err := loadConfig(ctx, options)
	if err != nil {
		return nil, &storage.Error{Op: "open", Object: options.URL, Kind: storage.ErrConfig, Says: err.Error(), Err: err}
	}
	at := func(o *s3.Options) {
		o.UsePathStyle = options.PathStyle
		if options.Endpoint != "" {
			o.BaseEndpoint = aws.String(options.Endpoint)
		}
	}
	owned := func(o *s3.Options) {
		if options.Account != "" {
			o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue(ownerHeader, options.Account))
		}
	}
	return &store{bucket: bucket, prefix: prefix, account: options.Account, config: cfg,
		client: s3.NewFromConfig(cfg, at, owned), anyOwner: s3.NewFromConfig(cfg, at)}, nil
}

// ownerHeader makes the service refuse a request unless the bucket is this
// account's.
const ownerHeader = "x-amz-expected-bucket-owner"

// loadConfig follows the default chain and assumes the role.
func loadConfig(ctx context.Context, options Options) (aws.Config, error) {
	load := []func(*config.LoadOptions) error{
		config.WithLogger(logging.Nop{}), // standard error belongs to the console
		config.WithHTTPClient(httpClient()),
		// Checksums are asked for where an object is read whole; for a range
		// the service has none.
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenSupported),
	}
	if options.Region != "" {
		load = append(load, config.WithRegion(options.Region))
	}
	if options.Profile != "" {
		load = append(load, config.WithSharedConfigProfile(options.Profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return cfg, fmt.Errorf("load the configuration of AWS: %w", err)
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1" // where it is not the bucket's, the service names the right one
	}
	if options.Role != "" {
		role := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), options.Role,
			func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = "comeback" })
		cfg.Credentials = aws.NewCredentialsCache(role)
	}
	return cfg, nil
}

func httpClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = answerTimeout })
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
