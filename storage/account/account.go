// Package account is how AWS, or a service that speaks its protocols, is asked: with
// the credentials of the SDK's default chain (environment, profile, single sign-on, web
// identity, container, instance), or of a role that is assumed with them. It promises
// that nothing is written to standard error and that no request waits without bound;
// it asks nobody by itself, unless the profile needs it.
package account

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
)

// Options say who asks and where. What is empty comes from the environment and the
// profile, as the SDK's default chain finds it.
type Options struct {
	Region string
	// Profile names a profile of the shared configuration files.
	Profile string
	// Role is the ARN of a role to assume with these credentials.
	Role string
}

// How long a service may take to accept a connection and to begin an answer.
const (
	dialTimeout   = 10 * time.Second
	answerTimeout = time.Minute
)

// NoProfile is the cause of an error: the profile that was asked for, or that AWS_PROFILE names,
// is in no shared configuration file of this host.
type NoProfile struct{ Name string }

func (n NoProfile) Error() string { return "there is no profile " + n.Name + " on this host" }

// Load follows the default chain and assumes the role. The region may be empty. A profile that
// does not exist is NoProfile.
func Load(ctx context.Context, options Options) (aws.Config, error) {
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
	if missing, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		err = NoProfile{missing.Profile}
	}
	if err != nil {
		return cfg, fmt.Errorf("load the configuration of AWS: %w", err)
	}
	if options.Role != "" {
		asks := cfg.Copy()
		if asks.Region == "" {
			asks.Region = anyRegion
		}
		role := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(asks), options.Role,
			func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = "comeback" })
		cfg.Credentials = aws.NewCredentialsCache(role)
	}
	return cfg, nil
}

// anyRegion is asked for a role where no region is named.
const anyRegion = "us-east-1"

// connections is how many are kept to a service while nothing is asked for: as many as
// anybody here has side by side, since each new one is a handshake.
const connections = 64

func httpClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout = answerTimeout
			t.MaxIdleConns, t.MaxIdleConnsPerHost = 2*connections, connections
		})
}
