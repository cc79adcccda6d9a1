package s3

import (
	"context"

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

var _ storage.Identifier = (*store)(nil)
