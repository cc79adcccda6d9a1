package s3

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"comeback/storage"
)

// Identity asks STS who the credentials are. A service other than AWS is not
// asked, and neither is AWS about it: then who is the end of the access key's
// id, and the account is not known.
func (s *store) Identity(ctx context.Context) (who, account string, err error) {
	if s.client.Options().BaseEndpoint != nil {
		credentials, err := s.config.Credentials.Retrieve(ctx)
		if err != nil {
			return "", "", s.refusal(ctx, "identify", "", err)
		}
		id := credentials.AccessKeyID
		return "access key …" + id[max(0, len(id)-4):], "", nil
	}
	out, err := sts.NewFromConfig(s.config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", "", s.refusal(ctx, "identify", "", err)
	}
	return aws.ToString(out.Arn), aws.ToString(out.Account), nil
}

// Expires is when the credentials end, as whoever gave them said. Nothing is
// asked of the service but by a role that is assumed.
func (s *store) Expires(ctx context.Context) (time.Time, error) {
	credentials, err := s.config.Credentials.Retrieve(ctx)
	if err != nil {
		return time.Time{}, s.refusal(ctx, "identify", "", err)
	}
	if !credentials.CanExpire {
		return time.Time{}, nil
	}
	return credentials.Expires, nil
}

var (
	_ storage.Identifier       = (*store)(nil)
	_ storage.CredentialHolder = (*store)(nil)
)
