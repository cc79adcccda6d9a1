package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"comeback/storage"
)

// TestRefusal_Unanswered judges errors of the network and of the default chain
// that cannot be had from a server on this machine.
func TestRefusal_Unanswered(t *testing.T) {
	for _, test := range []struct {
		err  error
		want error
		says string
	}{
		{&url.Error{Op: "Get", URL: "https://h/?secret", Err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "backups.h", IsNotFound: true}}},
			storage.ErrUnavailable, "no such host; many services other than AWS need path_style: true"},
		{&url.Error{Op: "Get", URL: "https://h/?secret", Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}},
			storage.ErrConfig, "certificate signed by unknown authority"},
		{&url.Error{Op: "Get", URL: "https://h/?secret", Err: io.ErrUnexpectedEOF}, storage.ErrUnavailable, "unexpected EOF"},
		{&ssocreds.InvalidTokenError{Err: errors.New("run aws sso login")}, storage.ErrExpired, "run aws sso login"},
		{errors.New("failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds"), storage.ErrDenied, "no credentials were found"},
		{errors.New("something new"), storage.ErrUnavailable, "something new"},
	} {
		s := &store{bucket: "backups", client: s3.New(s3.Options{BaseEndpoint: aws.String("https://h")})}
		err := s.refusal(t.Context(), "stat", "a", fmt.Errorf("operation error S3: HeadObject, %w", test.err))
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "s3://backups/a") {
			t.Errorf("%v becomes %q, want one that is %q and says %q", test.err, err, test.want, test.says)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q holds the URL's query", err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := (&store{}).refusal(ended, "stat", "a", errors.New("request canceled"))
	if !errors.Is(err, context.Canceled) || errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("after the end of the context: %v", err)
	}
}
