package storagetest

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// CreateLocking makes an empty bucket that keeps versions and can lock them.
func (s *S3) CreateLocking(name string) {
	s.t.Helper()
	_, err := s.Client().CreateBucket(context.Background(), &awss3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: aws.Bool(true),
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: Region}})
	if err != nil {
		s.t.Fatal(err)
	}
}

// SetLocking lets a bucket lock new objects for so many days, in governance mode;
// 0 lets it lock none. Locks that are there stay.
func (s *S3) SetLocking(bucket string, days int) {
	s.t.Helper()
	c := &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled}
	if days > 0 {
		c.Rule = &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(int32(days))}}
	}
	_, err := s.Client().PutObjectLockConfiguration(context.Background(), &awss3.PutObjectLockConfigurationInput{Bucket: &bucket, ObjectLockConfiguration: c})
	if err != nil {
		s.t.Fatal(err)
	}
}
