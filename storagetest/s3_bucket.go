package storagetest

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// CreateBucket makes an empty bucket.
func (s *S3) CreateBucket(name string) {
	s.t.Helper()
	_, err := s.Client().CreateBucket(context.Background(), &awss3.CreateBucketInput{
		Bucket:                    &name,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: Region},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// SetVersioning lets a bucket keep the versions of its objects, or not.
func (s *S3) SetVersioning(bucket string, on bool) {
	s.t.Helper()
	status := types.BucketVersioningStatusSuspended
	if on {
		status = types.BucketVersioningStatusEnabled
	}
	_, err := s.Client().PutBucketVersioning(context.Background(), &awss3.PutBucketVersioningInput{
		Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status}})
	if err != nil {
		s.t.Fatal(err)
	}
}

// Delete removes an object.
func (s *S3) Delete(bucket, key string) {
	s.t.Helper()
	_, err := s.Client().DeleteObject(context.Background(), &awss3.DeleteObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		s.t.Fatal(err)
	}
}

// File is where the server keeps the bytes of an object, for damage behind its
// back.
func (s *S3) File(bucket, key string) string {
	return filepath.Join(s.dir, "data", bucket, filepath.FromSlash(key))
}

// DateVersions gives what a bucket has kept of replaced and deleted objects one time, and
// what is current another. The server tells the times of its files: those of versions by
// when they were replaced, those of marks of deletion by the object that they delete.
func (s *S3) DateVersions(bucket string, kept, current time.Time) {
	s.t.Helper()
	for dir, at := range map[string]time.Time{"versions": kept, "data": current} {
		err := filepath.WalkDir(filepath.Join(s.dir, dir, bucket), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			return os.Chtimes(path, at, at)
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// Parts is how many parts of unfinished uploads a bucket holds.
func (s *S3) Parts(bucket string) int {
	s.t.Helper()
	uploads, err := s.Client().ListMultipartUploads(context.Background(), &awss3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for _, upload := range uploads.Uploads {
		parts, err := s.Client().ListParts(context.Background(), &awss3.ListPartsInput{
			Bucket: &bucket, Key: upload.Key, UploadId: upload.UploadId})
		if err != nil {
			s.t.Fatal(err)
		}
		n += len(parts.Parts)
	}
	return n
}

// CreateUser makes an account that may do nothing until Allow lets it.
func (s *S3) CreateUser(name string) Account {
	s.t.Helper()
	user := Account{AccessKey: name, SecretKey: "the-secret-of-" + name}
	cmd := exec.Command(s.binary, "admin", "create-user", "--access", user.AccessKey, "--secret", user.SecretKey, "--role", "user")
	cmd.Env = []string{"ADMIN_ACCESS_KEY=" + Root.AccessKey, "ADMIN_SECRET_KEY=" + Root.SecretKey,
		"ADMIN_REGION=" + Region, "ADMIN_ENDPOINT_URL=" + s.Endpoint()}
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("create user %s: %v: %s", name, err, out)
	}
	return user
}

// Allow replaces a bucket's policy by one that lets an account do some actions
// ("s3:GetObject"), and nothing else.
func (s *S3) Allow(bucket string, user Account, actions ...string) {
	s.t.Helper()
	policy, err := json.Marshal(map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Effect":    "Allow",
			"Principal": map[string]any{"AWS": []string{user.AccessKey}},
			"Action":    actions,
			"Resource":  []string{"arn:aws:s3:::" + bucket, "arn:aws:s3:::" + bucket + "/*"},
		}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.Client().PutBucketPolicy(context.Background(), &awss3.PutBucketPolicyInput{Bucket: &bucket, Policy: aws.String(string(policy))})
	if err != nil {
		s.t.Fatal(err)
	}
}
