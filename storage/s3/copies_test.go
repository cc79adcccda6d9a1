package s3

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// A copy that the service takes longer for than for any answer is waited for.
func TestUnhurried(t *testing.T) {
	copying, givenUp := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Copy-Source") == "" {
			<-r.Context().Done()
			return
		}
		close(copying)
		<-givenUp
		_, _ = io.WriteString(w, `<CopyObjectResult><ETag>"x"</ETag></CopyObjectResult>`)
	}))
	t.Cleanup(server.Close)
	hurried := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = 10 * time.Millisecond })
	o := s3.Options{Region: "eu-central-1", BaseEndpoint: &server.URL, UsePathStyle: true, HTTPClient: hurried, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), Retryer: aws.NopRetryer{}}
	client, copies := s3.New(o), s3.New(o, unhurried)
	go func() {
		defer close(givenUp)
		<-copying
		if _, err := client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("shop")}); err == nil || !strings.Contains(err.Error(), "timeout awaiting response headers") {
			t.Errorf("what else is asked for is waited for: %v", err)
		}
	}()
	out, err := copies.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String("shop"), Key: aws.String("a"), CopySource: aws.String("shop/a?versionId=1")})
	if err != nil || aws.ToString(out.CopyObjectResult.ETag) != `"x"` {
		t.Errorf("%+v, %v", out, err)
	}
	<-givenUp
}
