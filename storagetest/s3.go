package storagetest

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"comeback/storage/s3"
)

// S3 is a real S3 server in a process of its own. It listens on a socket in its
// directory, so that no two servers can meet on a port; Proxy is the way to it.
type S3 struct {
	Proxy *Proxy

	t      testing.TB
	dir    string
	binary string
	server *child
}

// Account is who asks an S3 server.
type Account struct{ AccessKey, SecretKey string }

// Root may do everything on the servers of this package.
var Root = Account{AccessKey: "AKIACOMEBACKROOT", SecretKey: "the-secret-of-root"}

// Region is the region of the servers of this package.
const Region = "eu-central-1"

// startTimeout is how long a server may take to be ready.
const startTimeout = 3 * time.Minute

// StartS3 starts a server that ends with the test.
func StartS3(t testing.TB) *S3 {
	t.Helper()
	dir, err := os.MkdirTemp("", "s3-") // the path of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, name := range []string{"data", "versions", "iam"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := &S3{t: t, dir: dir, binary: gatewayPath(t)}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(s.binary, "--port", s.socket(), "--region", Region, "--keep-alive", "--quiet", "--health", "/healthz",
		"--iam-dir", filepath.Join(dir, "iam"), "--iam-cache-disable",
		"posix", "--versioning-dir", filepath.Join(dir, "versions"), filepath.Join(dir, "data"))
	cmd.Env = []string{"ROOT_ACCESS_KEY=" + Root.AccessKey, "ROOT_SECRET_KEY=" + Root.SecretKey}
	cmd.Stdout, cmd.Stderr = log, log
	if s.server, err = startChild(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.server.kill)
	s.await()
	s.Proxy = StartProxy(t, "unix", s.socket())
	return s
}

func (s *S3) socket() string { return filepath.Join(s.dir, "socket") }

// await returns when the server answers.
func (s *S3) await() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.socket())
	}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://server/healthz", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		if answer, err := client.Do(req); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-again.C:
		case <-s.server.done:
			s.t.Fatalf("the S3 server has ended: %s", s.log())
		case <-ctx.Done():
			s.t.Fatalf("the S3 server does not answer: %s", s.log())
		}
	}
}

func (s *S3) log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Endpoint is the server's URL.
func (s *S3) Endpoint() string { return "http://" + s.Proxy.Address() }

// Options are those to open a store with; the credentials come from the
// environment, which Setenv sets.
func (s *S3) Options(bucket, prefix string) s3.Options {
	url := "s3://" + bucket
	if prefix != "" {
		url += "/" + prefix
	}
	return s3.Options{URL: url, Region: Region, Endpoint: s.Endpoint(), PathStyle: true}
}

// Setenv lets the default chain of this process find the server and root's
// credentials, until the test ends.
func (s *S3) Setenv(t *testing.T) {
	t.Helper()
	s.SetenvAs(t, Root)
}

// SetenvAs does so for another account.
func (s *S3) SetenvAs(t *testing.T, account Account) {
	t.Helper()
	SetenvS3(t, s.Endpoint(), account)
}

// SetenvS3 replaces everything that the SDK's default chain finds by an
// endpoint and the credentials for it, until the test ends.
func SetenvS3(t *testing.T, endpoint string, account Account) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // so that it comes back
			os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID":           account.AccessKey,
		"AWS_SECRET_ACCESS_KEY":       account.SecretKey,
		"AWS_REGION":                  Region,
		"AWS_ENDPOINT_URL":            endpoint,
		"AWS_CONFIG_FILE":             os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_EC2_METADATA_DISABLED":   "true",
	} {
		t.Setenv(name, value)
	}
}

// Client is a client of the SDK with root's credentials, for what a store does
// not do.
func (s *S3) Client() *awss3.Client {
	return awss3.New(awss3.Options{
		BaseEndpoint:               aws.String(s.Endpoint()),
		Region:                     Region,
		UsePathStyle:               true,
		Credentials:                credentials.NewStaticCredentialsProvider(Root.AccessKey, Root.SecretKey, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
	})
}
