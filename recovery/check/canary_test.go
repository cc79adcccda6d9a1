package check_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"comeback/recovery/check"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// A real bucket that locks refuses to give its canary up, one that does not lets
// it go, and a key without the right is told from a lock.
func TestCanary(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	ctx := t.Context()
	server.CreateBucket("open")
	_, err := server.Client().CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String("locked"), ObjectLockEnabledForBucket: aws.Bool(true),
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: storagetest.Region}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = server.Client().PutObjectLockConfiguration(ctx, &awss3.PutObjectLockConfigurationInput{Bucket: aws.String("locked"),
		ObjectLockConfiguration: &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled,
			Rule: &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(1)}}}})
	if err != nil {
		t.Fatal(err)
	}
	open := func(bucket string) storage.Store {
		s, err := s3.Open(ctx, server.Options(bucket, "shop"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if tried := check.Canary(ctx, open("open"), time.Now()); !tried.Deleted || tried.Refused || tried.Err != nil {
		t.Errorf("a bucket without a lock: %+v", tried)
	}
	if keys := storagetest.Keys(t, open("open"), ""); len(keys) > 0 {
		t.Errorf("left in the bucket: %v", keys)
	}
	locking := func(s storage.Store) storage.Locking {
		locker, ok := storage.As[storage.Locker](s)
		if !ok {
			t.Fatal("a bucket is no locker")
		}
		l, err := locker.Locking(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := locking(open("open")); l.Able || l.On {
		t.Errorf("a bucket without a lock: %+v", l)
	}
	if l := locking(open("locked")); !l.Able || !l.On || l.Mode != "GOVERNANCE" || l.For != 24*time.Hour {
		t.Errorf("a bucket with a lock: %+v", l)
	}
	for range 2 { // the second time it is the same canary
		if tried := check.Canary(ctx, open("locked"), time.Now()); tried.Deleted || !tried.Refused || tried.Err != nil {
			t.Errorf("a bucket with a lock: %+v", tried)
		}
	}
	if keys := storagetest.Keys(t, open("locked"), "comeback/canary/"); len(keys) != 1 {
		t.Errorf("canaries: %v", keys)
	}
	user := server.CreateUser("reader")
	server.Allow("open", user, "s3:GetObject", "s3:ListBucket", "s3:PutObject")
	server.SetenvAs(t, user)
	if tried := check.Canary(ctx, open("open"), time.Now()); tried.Deleted || !tried.Refused || !tried.Until.IsZero() || !strings.Contains(tried.By, "ader") {
		t.Errorf("a key that may not delete: %+v", tried)
	}
	// A directory locks nothing, and nothing is stored in it.
	dir, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if tried := check.Canary(context.Background(), dir, time.Now()); tried.Deleted || tried.Refused || tried.Err != nil {
		t.Errorf("a directory: %+v", tried)
	}
}
